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

/** Writes a tile's row of sums (types.ts) from its accumulators. Returns the end of the row. */
export function finishRow(row: usize, tasks: usize, accumulators: usize, derived: usize): usize {
  for (let task: usize = 0; task < tasks; task++) {
    for (let sum: usize = 0; sum < 6; sum++) store<f64>(row + (sum << 3), total(accumulators + (sum << 4)));
    store<f64>(row, <f64>load<u64>(accumulators, 96), 48);
    store<f64>(row, <f64>load<u64>(accumulators, 104), 56);
    row += 64;
    accumulators += TASK_ACCUMULATORS;
  }
  store<f64>(row, total(derived));
  store<f64>(row, total(derived + 16), 8);
  return row + 16;
}
