import { roundTo } from './round';
import { BLOCK, BLOCK_BYTES, STEP, TILE } from './shape';
import { beginRow, finishRow } from './sums';
import { maskAndSum } from './tasks';

/** For m elements (a multiple of 4): τ_t to `taus`, W at `target` rounded to `dtype`, u = W - base to `u`. */
function deviateBlock(
  base: usize, weights: usize, stride: usize, tasks: usize, m: usize, taus: usize, target: usize, u: usize, dtype: i32,
): void {
  for (let at: usize = 0; at < m << 2; at += 16) {
    const b = v128.load(base + at);
    for (let task: usize = 0; task < tasks; task++) {
      v128.store(taus + at + task * BLOCK_BYTES, f32x4.sub(v128.load(weights + at + task * stride), b));
    }
    const rounded = roundTo(v128.load(target + at), dtype);
    v128.store(target + at, rounded);
    v128.store(u + at, f32x4.add(f32x4.sub(rounded, b), f32x4.splat(0))); // -0 becomes +0, as derive.ts needs
  }
}

/** The masks and sums of a W that is at `target` already (`MergeWorkspace.rule`); arguments as of `emr`. */
export function model(
  base: usize, weights: usize, stride: usize, tasks: usize, n: usize, u: usize, masks: usize, maskStride: usize,
  row: usize, taus: usize, derived: usize, accumulators: usize, target: usize, dtype: i32,
): void {
  for (let tile: usize = 0; tile < n; tile += TILE) {
    const end = min(tile + TILE, n);
    beginRow(tasks, accumulators, derived);
    for (let at = tile; at < end; at += BLOCK) {
      const m = min(BLOCK, (end - at + STEP - 1) & ~(STEP - 1));
      const byte = at << 2;
      deviateBlock(base + byte, weights + byte, stride, tasks, m, taus, target + byte, u + byte, dtype);
      maskAndSum(u + byte, m, tasks, taus, derived, masks + (at >> 3), maskStride, accumulators);
    }
    const maskBytes = ((end - tile + STEP - 1) & ~(STEP - 1)) >> 3;
    row = finishRow(row, tasks, accumulators, derived, masks + (tile >> 3), maskStride, maskBytes);
  }
}
