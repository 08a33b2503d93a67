import { bf16UpperOfF32 } from './bf16';
import { f16OfF32, f32OfF16 } from './f16';
import { BF16, F16, F32 } from './shape';

// Ŵ = base + λ·u where the mask is 1, else the base's own bits; eight elements a step, one byte of mask:
//
//   byte -> splat -> and (1 2 4 8), (16 32 64 128) -> eq -> two vectors of lane masks

/** Four elements as f32. */
@inline
function load4(from: usize, dtype: i32): v128 {
  if (dtype == F32) return v128.load(from);
  if (dtype == BF16) return i32x4.shl(v128.load16x4_u(from), 16);
  if (dtype == F16) return f32OfF16(v128.load16x4_u(from));
  const low = f32x4.demote_f64x2_zero(v128.load(from));
  const high = f32x4.demote_f64x2_zero(v128.load(from, 16));
  return v128.shuffle<u64>(low, high, 0, 2);
}

/** Four f32 as F64. */
@inline
function storeF64(to: usize, value: v128): void {
  v128.store(to, f64x2.promote_low_f32x4(value));
  v128.store(to, f64x2.promote_low_f32x4(v128.shuffle<u64>(value, value, 1, 1)), 16);
}

/** Of four F64 at `to`, those whose mask is 0 as they are at `from`. */
@inline
function keepF64(from: usize, to: usize, mask: v128): void {
  const low = v128.shuffle<u32>(mask, mask, 0, 0, 1, 1);
  const high = v128.shuffle<u32>(mask, mask, 2, 2, 3, 3);
  v128.store(to, v128.bitselect(v128.load(to), v128.load(from), low));
  v128.store(to, v128.bitselect(v128.load(to, 16), v128.load(from, 16), high), 16);
}

@inline
function bytesOf4(dtype: i32): usize {
  return dtype == F32 ? 16 : dtype == BF16 || dtype == F16 ? 8 : 32;
}

@inline
function run(
  base: usize, baseDtype: i32, unified: usize, unifiedDtype: i32, mask: usize, rescaler: f32,
  target: usize, dtype: i32, n: usize, lanes: usize,
): void {
  const lambda = f32x4.splat(rescaler);
  // In memory, since the compiler would build such constants anew in every step.
  v128.store(lanes, i32x4(1, 2, 4, 8));
  v128.store(lanes, i32x4(16, 32, 64, 128), 16);
  const same = baseDtype == dtype;
  const baseStep = bytesOf4(baseDtype);
  const unifiedStep = bytesOf4(unifiedDtype);
  const step = bytesOf4(dtype);
  for (let i: usize = 0; i < n; i += 8) {
    const bits = v128.load8_splat(mask + (i >> 3));
    const low = v128.load(lanes);
    const high = v128.load(lanes, 16);
    const mask0 = i32x4.eq(v128.and(bits, low), low);
    const mask1 = i32x4.eq(v128.and(bits, high), high);
    const base0 = load4(base, baseDtype);
    const base1 = load4(base + baseStep, baseDtype);
    const moved0 = f32x4.add(base0, f32x4.mul(lambda, load4(unified, unifiedDtype)));
    const moved1 = f32x4.add(base1, f32x4.mul(lambda, load4(unified + unifiedStep, unifiedDtype)));
    const value0 = v128.bitselect(moved0, base0, mask0);
    const value1 = v128.bitselect(moved1, base1, mask1);
    if (dtype == F32) {
      v128.store(target, value0);
      v128.store(target, value1, 16);
    } else if (dtype == BF16 && same) {
      const rounded0 = i32x4.shr_u(bf16UpperOfF32(moved0), 16);
      const rounded1 = i32x4.shr_u(bf16UpperOfF32(moved1), 16);
      const both = i16x8.narrow_i32x4_s(mask0, mask1);
      v128.store(target, v128.bitselect(i16x8.narrow_i32x4_u(rounded0, rounded1), v128.load(base), both));
    } else if (dtype == BF16) {
      const rounded0 = i32x4.shr_u(bf16UpperOfF32(value0), 16);
      const rounded1 = i32x4.shr_u(bf16UpperOfF32(value1), 16);
      v128.store(target, i16x8.narrow_i32x4_u(rounded0, rounded1));
    } else if (dtype == F16) {
      const halves = i16x8.narrow_i32x4_u(f16OfF32(value0), f16OfF32(value1));
      const both = i16x8.narrow_i32x4_s(mask0, mask1);
      v128.store(target, same ? v128.bitselect(halves, v128.load(base), both) : halves);
    } else {
      storeF64(target, value0);
      storeF64(target + 32, value1);
      if (same) {
        keepF64(base, target, mask0);
        keepF64(base + 32, target + 32, mask1);
      }
    }
    base += baseStep << 1;
    unified += unifiedStep << 1;
    target += step << 1;
  }
}

/**
 * All F32, the most common of all: 16 elements a step, two bytes of mask. x - (+0) is x for every finite x, also for -0;
 * so base - (M⊙(-λ·u)) is base + λ·u where the mask is 1, with the same one rounding, and the base's bits where it is 0.
 */
function runF32(
  base: usize, unified: usize, mask: usize, rescaler: f32, target: usize, n: usize, lanes: usize,
): void {
  const minusLambda = f32x4.splat(-rescaler);
  // By way of memory, since the compiler would build such constants anew in every step.
  v128.store(lanes, i32x4(1, 2, 4, 8));
  v128.store(lanes, i32x4(16, 32, 64, 128), 16);
  const lanes0 = v128.load(lanes);
  const lanes1 = v128.load(lanes, 16);
  const lanes2 = i32x4.shl(lanes0, 8);
  const lanes3 = i32x4.shl(lanes1, 8);
  for (const end = base + (n << 2); base < end; base += 64) {
    const bits = v128.load16_splat(mask);
    const move0 = v128.and(f32x4.mul(minusLambda, v128.load(unified)), i32x4.eq(v128.and(bits, lanes0), lanes0));
    v128.store(target, f32x4.sub(v128.load(base), move0));
    const move1 = v128.and(f32x4.mul(minusLambda, v128.load(unified, 16)), i32x4.eq(v128.and(bits, lanes1), lanes1));
    v128.store(target, f32x4.sub(v128.load(base, 16), move1), 16);
    const move2 = v128.and(f32x4.mul(minusLambda, v128.load(unified, 32)), i32x4.eq(v128.and(bits, lanes2), lanes2));
    v128.store(target, f32x4.sub(v128.load(base, 32), move2), 32);
    const move3 = v128.and(f32x4.mul(minusLambda, v128.load(unified, 48)), i32x4.eq(v128.and(bits, lanes3), lanes3));
    v128.store(target, f32x4.sub(v128.load(base, 48), move3), 48);
    unified += 64;
    target += 64;
    mask += 2;
  }
}

/**
 * The common combinations get a loop of their own, in which the compiler has decided every branch on a dtype.
 * n elements, rounded up to the next eight, with dtypes as numbered in shape.ts: `base` and `unified` are read, `target`
 * written. Where base and output have one dtype, bits and not values are kept; `target` may then be `base`, but for F64. `lanes` has room for two vectors.
 */
export function reconstruct(
  base: usize, baseDtype: i32, unified: usize, unifiedDtype: i32, mask: usize, rescaler: f32,
  target: usize, dtype: i32, n: usize, lanes: usize,
): void {
  if (baseDtype == F32 && unifiedDtype == F32 && dtype == F32) {
    runF32(base, unified, mask, rescaler, target, n, lanes);
  } else if (baseDtype == BF16 && unifiedDtype == F32 && dtype == BF16) {
    run(base, BF16, unified, F32, mask, rescaler, target, BF16, n, lanes);
  } else if (baseDtype == BF16 && unifiedDtype == BF16 && dtype == BF16) {
    run(base, BF16, unified, BF16, mask, rescaler, target, BF16, n, lanes);
  } else if (baseDtype == F16 && unifiedDtype == F32 && dtype == F16) {
    run(base, F16, unified, F32, mask, rescaler, target, F16, n, lanes);
  } else {
    run(base, baseDtype, unified, unifiedDtype, mask, rescaler, target, dtype, n, lanes);
  }
}
