import { bf16UpperOfF32 } from './bf16';
import { f16OfF32, f32OfF16 } from './f16';
import { BF16, F16 } from './shape';

/** f32 rounded to what the output dtype can hold, still as f32. */
@inline
export function roundTo(value: v128, dtype: i32): v128 {
  if (dtype == BF16) return v128.and(bf16UpperOfF32(value), i32x4.splat(0xffff0000));
  if (dtype == F16) return f32OfF16(f16OfF32(value));
  return value;
}
