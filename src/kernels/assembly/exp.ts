import { promoteAdd, sum4 } from './add';
import { ABS_U, MAGNITUDE, least } from './derive';
import { STEP } from './shape';
@inline
function bits16(a: v128, b: v128, c: v128, d: v128): i32 {
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}
export function alignA(tau: usize, u: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = f32x4.splat(0);
  let maskedU = zero;
  let maskedSq = zero;
  let alignedCount: i32 = 0;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const m0 = i32x4.gt_s(f32x4.mul(v128.load(tau), v128.load(u)), zero);
    const m1 = i32x4.gt_s(f32x4.mul(v128.load(tau, 16), v128.load(u, 16)), zero);
    const m2 = i32x4.gt_s(f32x4.mul(v128.load(tau, 32), v128.load(u, 32)), zero);
    const m3 = i32x4.gt_s(f32x4.mul(v128.load(tau, 48), v128.load(u, 48)), zero);
    const bits = bits16(m0, m1, m2, m3);
    store<u16>(mask, <u16>bits);
    alignedCount += popcnt(bits);
    const u0 = v128.and(m0, v128.load(derived, ABS_U));
    const u1 = v128.and(m1, v128.load(derived, ABS_U + 16));
    const u2 = v128.and(m2, v128.load(derived, ABS_U + 32));
    const u3 = v128.and(m3, v128.load(derived, ABS_U + 48));
    maskedU = f32x4.add(maskedU, sum4(u0, u1, u2, u3));
    maskedSq = f32x4.add(maskedSq, sum4(f32x4.mul(u0, u0), f32x4.mul(u1, u1), f32x4.mul(u2, u2), f32x4.mul(u3, u3)));
    u += STEP << 2;
    derived += STEP << 2;
    mask += STEP >> 3;
  }
  promoteAdd(accumulators + 32, maskedU);
  promoteAdd(accumulators + 48, maskedSq);
  store<u64>(accumulators, load<u64>(accumulators, 96) + alignedCount, 96);
  store<u64>(accumulators, load<u64>(accumulators, 104) + (<u32>m - alignedCount), 104);
}
export function alignB(tau: usize, u: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = f32x4.splat(0);
  let aligned = zero;
  let conflict = zero;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const p0 = f32x4.mul(v128.load(tau), v128.load(u));
    const p1 = f32x4.mul(v128.load(tau, 16), v128.load(u, 16));
    const p2 = f32x4.mul(v128.load(tau, 32), v128.load(u, 32));
    const p3 = f32x4.mul(v128.load(tau, 48), v128.load(u, 48));
    aligned = f32x4.add(aligned, sum4(i32x4.max_s(p0, zero), i32x4.max_s(p1, zero), i32x4.max_s(p2, zero), i32x4.max_s(p3, zero)));
    conflict = f32x4.add(conflict, sum4(i32x4.min_s(p0, zero), i32x4.min_s(p1, zero), i32x4.min_s(p2, zero), i32x4.min_s(p3, zero)));
    u += STEP << 2;
  }
  promoteAdd(accumulators + 64, aligned);
  promoteAdd(accumulators + 80, f32x4.neg(conflict));
}
// all: one loop over 2 vectors at a time, everything
export function all2(tau: usize, u: usize, derived: usize, m: usize, mask: usize, accumulators: usize): void {
  const zero = f32x4.splat(0);
  let maskedU = zero;
  let maskedSq = zero;
  let aligned = zero;
  let conflict = zero;
  let alignedCount: i32 = 0;
  for (const end = tau + (m << 2); tau < end; tau += 32) {
    const p0 = f32x4.mul(v128.load(tau), v128.load(u));
    const p1 = f32x4.mul(v128.load(tau, 16), v128.load(u, 16));
    const m0 = i32x4.gt_s(p0, zero);
    const m1 = i32x4.gt_s(p1, zero);
    const bits = i16x8.bitmask(i16x8.narrow_i32x4_s(m0, m1));
    store<u8>(mask, <u8>bits);
    alignedCount += popcnt(bits);
    const u0 = v128.and(m0, v128.load(derived, ABS_U));
    const u1 = v128.and(m1, v128.load(derived, ABS_U + 16));
    maskedU = f32x4.add(maskedU, f32x4.add(u0, u1));
    maskedSq = f32x4.add(maskedSq, f32x4.add(f32x4.mul(u0, u0), f32x4.mul(u1, u1)));
    aligned = f32x4.add(aligned, f32x4.add(i32x4.max_s(p0, zero), i32x4.max_s(p1, zero)));
    conflict = f32x4.add(conflict, f32x4.add(i32x4.min_s(p0, zero), i32x4.min_s(p1, zero)));
    u += 32;
    derived += 32;
    mask += 1;
  }
  promoteAdd(accumulators + 32, maskedU);
  promoteAdd(accumulators + 48, maskedSq);
  promoteAdd(accumulators + 64, aligned);
  promoteAdd(accumulators + 80, f32x4.neg(conflict));
  store<u64>(accumulators, load<u64>(accumulators, 96) + alignedCount, 96);
  store<u64>(accumulators, load<u64>(accumulators, 104) + (<u32>m - alignedCount), 104);
}
