import { promoteAdd, sum4 } from './add';
import { ABS_U, SIGN_U } from './derive';
import { STEP } from './shape';

// Mask and products of one task over one block, 16 elements a step. The four compares of four lanes are narrowed to
// 16 bytes of 0 or -1, whose sign bits are 16 bits of mask, first element in the lowest bit:
//
//   m0 m1 m2 m3  -i16x8.narrow->  m0m1 m2m3  -i8x16.narrow->  m0m1m2m3  -i8x16.bitmask->  16 bits
//
// f32 values order as their bits do, read as integers, but for the order among the negative ones. So max_s(p, 0) is the
// positive part of p, min_s(p, 0) the negative part, and gt_s(p, 0) its sign: integer units are free where the units
// that add are not.

@inline
function bits16(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

@inline
function positive(p: v128): v128 {
  return i32x4.max_s(p, i32x4.splat(0));
}

@inline
function negative(p: v128): v128 {
  return i32x4.min_s(p, i32x4.splat(0));
}

/** Adds a block's sums to the task's accumulators, and how many elements are aligned or in conflict (`signed`). */
@inline
function finish(at: usize, maskedU: v128, maskedSq: v128, aligned: v128, conflict: v128, signed: usize): void {
  promoteAdd(at + 32, maskedU);
  promoteAdd(at + 48, maskedSq);
  promoteAdd(at + 64, aligned);
  promoteAdd(at + 80, f32x4.neg(conflict));
  store<usize>(at, load<usize>(at, 96) + signed, 96);
}

/**
 * Where no τ·u of the block is zero, not even by underflow: p = τ·u is positive where aligned, else negative, and what
 * is not aligned is in conflict. m is a multiple of STEP.
 */
export function alignDense(tau: usize, u: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = i32x4.splat(0);
  let maskedU = zero;
  let maskedSq = zero;
  let aligned = zero;
  let conflict = zero;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const p0 = f32x4.mul(v128.load(tau), v128.load(u));
    const p1 = f32x4.mul(v128.load(tau, 16), v128.load(u, 16));
    const p2 = f32x4.mul(v128.load(tau, 32), v128.load(u, 32));
    const p3 = f32x4.mul(v128.load(tau, 48), v128.load(u, 48));
    const m0 = i32x4.gt_s(p0, zero);
    const m1 = i32x4.gt_s(p1, zero);
    const m2 = i32x4.gt_s(p2, zero);
    const m3 = i32x4.gt_s(p3, zero);
    store<u16>(mask, <u16>bits16(m0, m1, m2, m3));
    const u0 = v128.and(m0, v128.load(derived, ABS_U));
    const u1 = v128.and(m1, v128.load(derived, ABS_U + 16));
    const u2 = v128.and(m2, v128.load(derived, ABS_U + 32));
    const u3 = v128.and(m3, v128.load(derived, ABS_U + 48));
    maskedU = f32x4.add(maskedU, sum4(u0, u1, u2, u3));
    maskedSq = f32x4.add(maskedSq, sum4(f32x4.mul(u0, u0), f32x4.mul(u1, u1), f32x4.mul(u2, u2), f32x4.mul(u3, u3)));
    aligned = f32x4.add(aligned, sum4(positive(p0), positive(p1), positive(p2), positive(p3)));
    conflict = f32x4.add(conflict, sum4(negative(p0), negative(p1), negative(p2), negative(p3)));
    u += STEP << 2;
    derived += STEP << 2;
    mask += STEP >> 3;
  }
  finish(accumulators, maskedU, maskedSq, aligned, conflict, m);
}

/**
 * Any block. x = τ·sgn(u) is exact, so nothing underflows: positive where aligned, negative in conflict, else ±0. As an
 * integer -0 is its own negative, so that 0 - x is positive just where x is in conflict.
 */
export function alignSparse(tau: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = i32x4.splat(0);
  let maskedU = zero;
  let maskedSq = zero;
  let aligned = zero;
  let conflict = zero;
  let signed: i32 = 0;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const x0 = f32x4.mul(v128.load(tau), v128.load(derived, SIGN_U));
    const x1 = f32x4.mul(v128.load(tau, 16), v128.load(derived, SIGN_U + 16));
    const x2 = f32x4.mul(v128.load(tau, 32), v128.load(derived, SIGN_U + 32));
    const x3 = f32x4.mul(v128.load(tau, 48), v128.load(derived, SIGN_U + 48));
    signed += popcnt(bits16(
      i32x4.gt_s(i32x4.neg(x0), zero), i32x4.gt_s(i32x4.neg(x1), zero),
      i32x4.gt_s(i32x4.neg(x2), zero), i32x4.gt_s(i32x4.neg(x3), zero),
    ));
    const m0 = i32x4.gt_s(x0, zero);
    const m1 = i32x4.gt_s(x1, zero);
    const m2 = i32x4.gt_s(x2, zero);
    const m3 = i32x4.gt_s(x3, zero);
    const bits = bits16(m0, m1, m2, m3);
    store<u16>(mask, <u16>bits);
    signed += popcnt(bits);
    const abs0 = v128.load(derived, ABS_U);
    const abs1 = v128.load(derived, ABS_U + 16);
    const abs2 = v128.load(derived, ABS_U + 32);
    const abs3 = v128.load(derived, ABS_U + 48);
    const p0 = f32x4.mul(x0, abs0);
    const p1 = f32x4.mul(x1, abs1);
    const p2 = f32x4.mul(x2, abs2);
    const p3 = f32x4.mul(x3, abs3);
    const u0 = v128.and(m0, abs0);
    const u1 = v128.and(m1, abs1);
    const u2 = v128.and(m2, abs2);
    const u3 = v128.and(m3, abs3);
    maskedU = f32x4.add(maskedU, sum4(u0, u1, u2, u3));
    maskedSq = f32x4.add(maskedSq, sum4(f32x4.mul(u0, u0), f32x4.mul(u1, u1), f32x4.mul(u2, u2), f32x4.mul(u3, u3)));
    aligned = f32x4.add(aligned, sum4(positive(p0), positive(p1), positive(p2), positive(p3)));
    conflict = f32x4.add(conflict, sum4(negative(p0), negative(p1), negative(p2), negative(p3)));
    derived += STEP << 2;
    mask += STEP >> 3;
  }
  finish(accumulators, maskedU, maskedSq, aligned, conflict, signed);
}
