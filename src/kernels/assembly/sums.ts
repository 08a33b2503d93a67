import { MAGNITUDE } from './derive';
import { TASK_ACCUMULATORS } from './shape';

@inline
function total(accumulator: usize): f64 {
  return load<f64>(accumulator) + load<f64>(accumulator, 8);
}

/** Makes the accumulators ready for a tile. */
export function beginRow(tasks: usize, accumulators: usize, derived: usize): void {
  memory.fill(accumulators, 0, tasks * TASK_ACCUMULATORS);
  memory.fill(derived, 0, 32);
  v128.store(derived, i32x4.splat(0x7fffffff), MAGNITUDE);
}

/** Ones among the bits of `bytes` bytes (an even number) of a mask. */
function ones(mask: usize, bytes: usize): i64 {
  let count: i64 = 0;
  const end = mask + bytes;
  for (; mask + 8 <= end; mask += 8) count += popcnt(load<i64>(mask));
  for (; mask < end; mask += 2) count += popcnt(<i64>load<u16>(mask));
  return count;
}

/**
 * Writes a tile's row of sums (types.ts) from its accumulators and its masks, of which each has `maskBytes` bytes.
 * Returns the end of the row.
 */
export function finishRow(
  row: usize, tasks: usize, accumulators: usize, derived: usize, mask: usize, maskStride: usize, maskBytes: usize,
): usize {
  for (let task: usize = 0; task < tasks; task++) {
    for (let sum: usize = 0; sum < 6; sum++) store<f64>(row + (sum << 3), total(accumulators + (sum << 4)));
    const aligned = ones(mask, maskBytes);
    store<f64>(row, <f64>aligned, 48);
    store<f64>(row, <f64>(<i64>load<usize>(accumulators, 96) - aligned), 56);
    row += 64;
    mask += maskStride;
    accumulators += TASK_ACCUMULATORS;
  }
  store<f64>(row, total(derived));
  store<f64>(row, total(derived + 16), 8);
  return row + 16;
}
