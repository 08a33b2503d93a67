// F16 <-> f32, four lanes at a time, without lookup tables.

/** Low 16 bits of each i32 lane, an F16, as f32. Exact, subnormals too: (bits << 13) read as f32 is value × 2^-112. */
@inline
export function f32OfF16(half: v128): v128 {
  const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
  const magnitude = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
  const value = f32x4.mul(magnitude, f32x4.splat(reinterpret<f32>(239 << 23))); // 2^112
  // Exponent 31: infinity, or NaN with its payload.
  const special = i32x4.ge_s(magnitude, i32x4.splat(0x0f800000));
  const kept = v128.or(magnitude, i32x4.splat(0x7f800000));
  return v128.or(sign, v128.bitselect(kept, value, special));
}

/** f32 rounded to F16 (nearest even), as the low 16 bits of each i32 lane. */
@inline
export function f16OfF32(value: v128): v128 {
  const sign = v128.and(i32x4.shr_u(value, 16), i32x4.splat(0x8000));
  const magnitude = v128.and(value, i32x4.splat(0x7fffffff));
  // Normal: 0xfff + the last kept bit rounds the 13 dropped bits to even; then the exponent bias moves by 112.
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff - (112 << 23))), odd);
  const normal = i32x4.shr_u(rounded, 13);
  // Below 2^-14: added to 0.5, whose last bit is worth 2^-24, the sum is rounded as the subnormal must be.
  const subnormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const finite = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(0x38800000)));
  const large = v128.bitselect(i32x4.splat(0x7c00), finite, i32x4.ge_s(magnitude, i32x4.splat(0x477ff000)));
  const payload = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(0x3ff));
  const nan = v128.or(payload, i32x4.splat(0x7e00));
  return v128.or(sign, v128.bitselect(nan, large, i32x4.gt_s(magnitude, i32x4.splat(0x7f800000))));
}
