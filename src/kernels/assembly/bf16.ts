// BF16 is the upper half of an f32.

/** f32 rounded to BF16 (nearest even), in the upper 16 bits of each lane; the lower ones mean nothing. NaN stays NaN. */
@inline
export function bf16UpperOfF32(value: v128): v128 {
  const odd = v128.and(i32x4.shr_u(value, 16), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(value, i32x4.splat(0x7fff)), odd);
  return v128.or(rounded, v128.and(f32x4.ne(value, value), i32x4.splat(0x7fc00000)));
}
