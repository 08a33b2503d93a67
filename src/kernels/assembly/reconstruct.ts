import { bf16UpperOfF32 } from './bf16';
import { f16OfF32, f32OfF16 } from './f16';
import { BF16, F16, F32 } from './shape';

// Ŵ = base + λ·u where the mask is 1, else the base's own bits; eight elements a step, one byte of mask:
//
//   byte -> splat -> and (1 2 4 8), (16 32 64 128) -> eq -> two vectors of lane masks

/** Half of eight elements as f32: half 0 is the first four. */
@inline
function loadHalf(from: usize, half: usize, dtype: i32): v128 {
  if (dtype == F32) return v128.load(from + (half << 4));
  if (dtype == BF16) return i32x4.shl(v128.load16x4_u(from + (half << 3)), 16);
  if (dtype == F16) return f32OfF16(v128.load16x4_u(from + (half << 3)));
  const low = f32x4.demote_f64x2_zero(v128.load(from + (half << 5)));
  const high = f32x4.demote_f64x2_zero(v128.load(from + (half << 5), 16));
  return v128.shuffle<u64>(low, high, 0, 2);
}

@inline
function storeF64(to: usize, value: v128, mask: v128, base: usize, keep: i32): void {
  const low = f64x2.promote_low_f32x4(value);
  const high = f64x2.promote_low_f32x4(v128.shuffle<u64>(value, value, 1, 1));
  const lowMask = v128.or(v128.shuffle<u32>(mask, mask, 0, 0, 1, 1), i32x4.splat(keep - 1));
  const highMask = v128.or(v128.shuffle<u32>(mask, mask, 2, 2, 3, 3), i32x4.splat(keep - 1));
  v128.store(to, v128.bitselect(low, v128.load(base), lowMask));
  v128.store(to, v128.bitselect(high, v128.load(base, 16), highMask), 16);
}

/**
 * n elements, rounded up to the next eight, with `dtype`s as numbered in shape.ts: `base` and `unified` are read,
 * `target` written. Where base and output have one dtype (`keep`), bits and not values are kept.
 */
export function reconstruct(
  base: usize, baseDtype: i32, unified: usize, unifiedDtype: i32, mask: usize, rescaler: f32,
  target: usize, dtype: i32, n: usize,
): void {
  const lambda = f32x4.splat(rescaler);
  const low = i32x4(1, 2, 4, 8);
  const high = i32x4(16, 32, 64, 128);
  const keep = i32(baseDtype == dtype);
  const any = i32x4.splat(keep - 1); // all ones where casts may write every element
  const baseStep: usize = baseDtype == F32 ? 32 : baseDtype == BF16 || baseDtype == F16 ? 16 : 64;
  const unifiedStep: usize = unifiedDtype == F32 ? 32 : 16;
  const step: usize = dtype == F32 ? 32 : dtype == BF16 || dtype == F16 ? 16 : 64;
  for (let i: usize = 0; i < n; i += 8) {
    const bits = i32x4.splat(load<u8>(mask + (i >> 3)));
    const mask0 = i32x4.eq(v128.and(bits, low), low);
    const mask1 = i32x4.eq(v128.and(bits, high), high);
    const base0 = loadHalf(base, 0, baseDtype);
    const base1 = loadHalf(base, 1, baseDtype);
    const moved0 = f32x4.add(base0, f32x4.mul(lambda, loadHalf(unified, 0, unifiedDtype)));
    const moved1 = f32x4.add(base1, f32x4.mul(lambda, loadHalf(unified, 1, unifiedDtype)));
    const value0 = v128.bitselect(moved0, base0, mask0);
    const value1 = v128.bitselect(moved1, base1, mask1);
    if (dtype == F32) {
      v128.store(target, value0);
      v128.store(target, value1, 16);
    } else if (dtype == BF16 || dtype == F16) {
      const half0 = dtype == BF16 ? i32x4.shr_u(bf16UpperOfF32(value0), 16) : f16OfF32(value0);
      const half1 = dtype == BF16 ? i32x4.shr_u(bf16UpperOfF32(value1), 16) : f16OfF32(value1);
      const halves = i16x8.narrow_i32x4_u(half0, half1);
      const both = v128.or(i16x8.narrow_i32x4_s(mask0, mask1), any);
      v128.store(target, v128.bitselect(halves, v128.load(base), both));
    } else {
      storeF64(target, value0, mask0, base, keep);
      storeF64(target + 32, value1, mask1, base + 32, keep);
    }
    base += baseStep;
    unified += unifiedStep;
    target += step;
  }
}
