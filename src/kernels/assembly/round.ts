import { bf16UpperOfF32 } from './bf16';
import { f16OfF32, f32OfF16 } from './f16';
import { BF16, F16 } from './shape';

/** f32 rounded to what the output dtype can hold, still as f32. */
@inline
export function roundTo(value: v128, dtype: i32): v128 {
  if (dtype == BF16) return bf16UpperOfF32(value);
  if (dtype == F16) return f32OfF16(f16OfF32(value));
  return value;
}
