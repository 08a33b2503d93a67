// BF16 is the upper half of an f32.

/** f32 rounded to BF16 (nearest even), in the upper 16 bits of each lane; the lower ones are 0. A NaN stays one. */
@inline
export function bf16UpperOfF32(value: v128): v128 {
  const odd = v128.and(i32x4.shr_u(value, 16), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(value, i32x4.splat(0x7fff)), odd);
  const nan = v128.or(value, i32x4.splat(0x400000));
  const magnitude = v128.and(value, i32x4.splat(0x7fffffff));
  const chosen = v128.bitselect(nan, rounded, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000)));
  return v128.and(chosen, i32x4.splat(0xffff0000));
}
