import { bf16UpperOfF32 } from './bf16';
import { f16OfF32, f32OfF16 } from './f16';

// Casts of whole arrays, eight elements at a time (arrays have room up to the next 16). Source and target may be the
// same memory where the comment says so.

/** BF16 → f32; in place if the source ends where the target does: a write never reaches a byte still to be read. */
export function widenBf16(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 8) {
    const halves = v128.load(source + (i << 1));
    v128.store(target + (i << 2), i32x4.shl(i32x4.extend_low_i16x8_u(halves), 16));
    v128.store(target + (i << 2), i32x4.shl(i32x4.extend_high_i16x8_u(halves), 16), 16);
  }
}

/** F16 → f32; in place as {@link widenBf16}. */
export function widenF16(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 8) {
    const halves = v128.load(source + (i << 1));
    v128.store(target + (i << 2), f32OfF16(i32x4.extend_low_i16x8_u(halves)));
    v128.store(target + (i << 2), f32OfF16(i32x4.extend_high_i16x8_u(halves)), 16);
  }
}

/** f32 → F64, exact; in place as {@link widenBf16}. */
export function widenF32(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 4) {
    const four = v128.load(source + (i << 2));
    v128.store(target + (i << 3), f64x2.promote_low_f32x4(four));
    v128.store(target + (i << 3), f64x2.promote_low_f32x4(v128.shuffle<u64>(four, four, 1, 1)), 16);
  }
}

/** F64 → f32, nearest even; in place if both begin at the same byte. */
export function narrowF64(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 4) {
    const low = f32x4.demote_f64x2_zero(v128.load(source + (i << 3)));
    const high = f32x4.demote_f64x2_zero(v128.load(source + (i << 3), 16));
    v128.store(target + (i << 2), v128.shuffle<u64>(low, high, 0, 2));
  }
}

/** f32 → BF16, nearest even; in place if both begin at the same byte. */
export function narrowBf16(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 8) {
    const low = i32x4.shr_u(bf16UpperOfF32(v128.load(source + (i << 2))), 16);
    const high = i32x4.shr_u(bf16UpperOfF32(v128.load(source + (i << 2), 16)), 16);
    v128.store(target + (i << 1), i16x8.narrow_i32x4_u(low, high));
  }
}

/** f32 → F16, nearest even; in place if both begin at the same byte. */
export function narrowF16(source: usize, target: usize, n: usize): void {
  for (let i: usize = 0; i < n; i += 8) {
    const low = f16OfF32(v128.load(source + (i << 2)));
    const high = f16OfF32(v128.load(source + (i << 2), 16));
    v128.store(target + (i << 1), i16x8.narrow_i32x4_u(low, high));
  }
}
