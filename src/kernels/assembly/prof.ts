import { deriveBlock, MAGNITUDE } from './derive';
import { electBlock } from './elect';
import { measureBlock } from './measure';
import { alignDenseBlock } from './align';
import { BLOCK, BLOCK_BYTES, TASK_ACCUMULATORS } from './shape';
export function init(derived: usize): void { v128.store(derived, i32x4.splat(0x7fffffff), MAGNITUDE); }
export function pElect(base: usize, stride: usize, tasks: usize, n: usize, u: usize, taus: usize): void {
  for (let at: usize = 0; at < n; at += BLOCK) electBlock(base + at*4, base + stride + at*4, stride, tasks, BLOCK, taus, u + at*4, i32x4.splat(0), 0);
}
export function pDerive(n: usize, u: usize, derived: usize): void { for (let at: usize = 0; at < n; at += BLOCK) deriveBlock(u + at*4, BLOCK, derived); }
export function pAlign(n: usize, tasks: usize, taus: usize, derived: usize, mask: usize, acc: usize, u: usize): void {
  for (let at: usize = 0; at < n; at += BLOCK) for (let t: usize = 0; t < tasks; t++) alignDenseBlock(taus + t*BLOCK_BYTES, u+at*4, derived, BLOCK, mask, acc + t*TASK_ACCUMULATORS); }
export function pMeasure(n: usize, tasks: usize, taus: usize, derived: usize, acc: usize): f32 { let x: f32 = 0;
  for (let at: usize = 0; at < n; at += BLOCK) for (let t: usize = 0; t < tasks; t++) x += measureBlock(taus + t*BLOCK_BYTES, derived, BLOCK, acc + t*TASK_ACCUMULATORS); return x; }
export function spin(n: i32): u32 { let x: u32 = 1; for (let i = 0; i < n; i++) { x = (x ^ (x << 1)); x = (x ^ (x << 3)); x = (x ^ (x << 1)); x = (x ^ (x << 3)); } return x; }
import { alignA, alignB, all2 } from './exp';
export function pA(n: usize, tasks: usize, taus: usize, derived: usize, mask: usize, acc: usize, u: usize): void {
  for (let at: usize = 0; at < n; at += BLOCK) for (let t: usize = 0; t < tasks; t++) alignA(taus + t*BLOCK_BYTES, u+at*4, derived, BLOCK, mask, acc + t*TASK_ACCUMULATORS); }
export function pB(n: usize, tasks: usize, taus: usize, derived: usize, mask: usize, acc: usize, u: usize): void {
  for (let at: usize = 0; at < n; at += BLOCK) for (let t: usize = 0; t < tasks; t++) alignB(taus + t*BLOCK_BYTES, u+at*4, derived, BLOCK, mask, acc + t*TASK_ACCUMULATORS); }
export function pC(n: usize, tasks: usize, taus: usize, derived: usize, mask: usize, acc: usize, u: usize): void {
  for (let at: usize = 0; at < n; at += BLOCK) for (let t: usize = 0; t < tasks; t++) all2(taus + t*BLOCK_BYTES, u+at*4, derived, BLOCK, mask, acc + t*TASK_ACCUMULATORS); }
