import { DERIVED_SUMS, promoteAdd } from './derive';
import { BLOCK_BYTES, STEP } from './shape';

// Mask and sums of one task over one block, 16 elements a step:
//
//   x = τ·sgn(u)           > 0 where aligned (M), < 0 where in conflict (C); exact, so nothing underflows
//   x·|u| = ±|τ||u|        its positive part is the aligned product, its negative part the conflict product
//   4 compares of 4 lanes  -> narrowed to 16 bytes of 0 or -1 -> i8x16.bitmask -> 16 bits of mask, LSB first

@inline
function sum4(a: v128, b: v128, c: v128, d: v128): v128 {
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}

@inline
function bits16(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/**
 * m is a multiple of STEP. `tau`: the block's τ_t; `derived`: see deriveBlock. Writes m / 8 bytes of mask and adds to the
 * task's accumulators (TASK_ACCUMULATORS in shape.ts).
 */
export function measureBlock(tau: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = f32x4.splat(0);
  let absTau = zero;
  let tauSq = zero;
  let maskedU = zero;
  let maskedSq = zero;
  let aligned = zero;
  let conflict = zero;
  let alignedCount: i32 = 0;
  let conflictCount: i32 = 0;
  let sign = derived + DERIVED_SUMS;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const tau0 = v128.load(tau);
    const tau1 = v128.load(tau, 16);
    const tau2 = v128.load(tau, 32);
    const tau3 = v128.load(tau, 48);
    absTau = f32x4.add(absTau, sum4(f32x4.abs(tau0), f32x4.abs(tau1), f32x4.abs(tau2), f32x4.abs(tau3)));
    tauSq = f32x4.add(tauSq, sum4(f32x4.mul(tau0, tau0), f32x4.mul(tau1, tau1), f32x4.mul(tau2, tau2), f32x4.mul(tau3, tau3)));

    const x0 = f32x4.mul(tau0, v128.load(sign));
    const x1 = f32x4.mul(tau1, v128.load(sign, 16));
    const x2 = f32x4.mul(tau2, v128.load(sign, 32));
    const x3 = f32x4.mul(tau3, v128.load(sign, 48));
    const conflicts = bits16(f32x4.lt(x0, zero), f32x4.lt(x1, zero), f32x4.lt(x2, zero), f32x4.lt(x3, zero));
    conflictCount += popcnt(conflicts);

    const m0 = f32x4.gt(x0, zero);
    const m1 = f32x4.gt(x1, zero);
    const m2 = f32x4.gt(x2, zero);
    const m3 = f32x4.gt(x3, zero);
    const bits = bits16(m0, m1, m2, m3);
    store<u16>(mask, <u16>bits);
    alignedCount += popcnt(bits);

    const square = sign + 2 * BLOCK_BYTES;
    maskedSq = f32x4.add(maskedSq, sum4(
      v128.and(m0, v128.load(square)), v128.and(m1, v128.load(square, 16)),
      v128.and(m2, v128.load(square, 32)), v128.and(m3, v128.load(square, 48)),
    ));
    const magnitude = sign + BLOCK_BYTES;
    const u0 = v128.load(magnitude);
    const u1 = v128.load(magnitude, 16);
    const u2 = v128.load(magnitude, 32);
    const u3 = v128.load(magnitude, 48);
    maskedU = f32x4.add(maskedU, sum4(v128.and(m0, u0), v128.and(m1, u1), v128.and(m2, u2), v128.and(m3, u3)));
    const p0 = f32x4.mul(x0, u0);
    const p1 = f32x4.mul(x1, u1);
    const p2 = f32x4.mul(x2, u2);
    const p3 = f32x4.mul(x3, u3);
    aligned = f32x4.add(aligned, sum4(f32x4.pmax(zero, p0), f32x4.pmax(zero, p1), f32x4.pmax(zero, p2), f32x4.pmax(zero, p3)));
    conflict = f32x4.add(conflict, sum4(f32x4.pmin(zero, p0), f32x4.pmin(zero, p1), f32x4.pmin(zero, p2), f32x4.pmin(zero, p3)));
    sign += STEP << 2;
    mask += STEP >> 3;
  }
  promoteAdd(accumulators, absTau);
  promoteAdd(accumulators + 16, tauSq);
  promoteAdd(accumulators + 32, maskedU);
  promoteAdd(accumulators + 48, maskedSq);
  promoteAdd(accumulators + 64, aligned);
  promoteAdd(accumulators + 80, f32x4.neg(conflict));
  store<u64>(accumulators, load<u64>(accumulators, 96) + alignedCount, 96);
  store<u64>(accumulators, load<u64>(accumulators, 104) + conflictCount, 104);
}
