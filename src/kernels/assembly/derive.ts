import { promoteAdd, sum4 } from './add';
import { BLOCK_BYTES, STEP } from './shape';

// What the tasks need of a block's u, at `derived`: a head of four vectors, |u|, and sgn(u) where a task asks for it.
//    0  f64x2 Σ|u| of the tile so far       32  the mask of a magnitude, 0x7fffffff in each lane
//   16  f64x2 Σu²                           48  the smallest |u| of the block, f32
export const MAGNITUDE: usize = 32;
export const LEAST_U: usize = 48;
export const ABS_U: usize = 64;
export const SIGN_U: usize = ABS_U + BLOCK_BYTES;

/** The smallest of four non-negative f32: they order as their bits do. */
@inline
export function least(lanes: v128): f32 {
  const two = i32x4.min_u(lanes, v128.shuffle<u64>(lanes, lanes, 1, 1));
  return reinterpret<f32>(min<u32>(i32x4.extract_lane(two, 0), i32x4.extract_lane(two, 1)));
}

/** For m elements (a multiple of STEP) of u. */
export function deriveBlock(u: usize, m: usize, derived: usize): void {
  // From memory, since the compiler would build a constant anew in every step.
  const magnitude = v128.load(derived, MAGNITUDE);
  let absU = f32x4.splat(0);
  let uSq = f32x4.splat(0);
  let smallest = magnitude;
  let target = derived;
  for (const end = u + (m << 2); u < end; u += STEP << 2) {
    const u0 = v128.load(u);
    const abs0 = v128.and(u0, magnitude);
    v128.store(target, abs0, ABS_U);
    const u1 = v128.load(u, 16);
    const abs1 = v128.and(u1, magnitude);
    v128.store(target, abs1, ABS_U + 16);
    const u2 = v128.load(u, 32);
    const abs2 = v128.and(u2, magnitude);
    v128.store(target, abs2, ABS_U + 32);
    const u3 = v128.load(u, 48);
    const abs3 = v128.and(u3, magnitude);
    v128.store(target, abs3, ABS_U + 48);
    absU = f32x4.add(absU, sum4(abs0, abs1, abs2, abs3));
    uSq = f32x4.add(uSq, sum4(f32x4.mul(u0, u0), f32x4.mul(u1, u1), f32x4.mul(u2, u2), f32x4.mul(u3, u3)));
    smallest = i32x4.min_u(smallest, i32x4.min_u(i32x4.min_u(abs0, abs1), i32x4.min_u(abs2, abs3)));
    target += STEP << 2;
  }
  promoteAdd(derived, absU);
  promoteAdd(derived + 16, uSq);
  store<f32>(derived, least(smallest), LEAST_U);
}

/** sgn(u) of the block as f32. u is never -0, so that its bits clamp to -1, 0 or 1. */
export function deriveSigns(u: usize, m: usize, derived: usize): void {
  const one = i32x4.splat(1);
  const minus = i32x4.splat(-1);
  for (let at: usize = 0; at < m << 2; at += 16) {
    const clamped = i32x4.max_s(i32x4.min_s(v128.load(u + at), one), minus);
    v128.store(derived + at, f32x4.convert_i32x4_s(clamped), SIGN_U);
  }
}
