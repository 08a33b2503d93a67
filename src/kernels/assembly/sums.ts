import { TASK_ACCUMULATORS, TASK_SUM_BYTES, UNIFIED_SUM_BYTES } from './shape';

@inline
function total(accumulator: usize): f64 {
  return load<f64>(accumulator) + load<f64>(accumulator, 8);
}

/** Writes a tile's row of sums (types.ts) from its accumulators and clears them. Returns the end of the row. */
export function finishRow(row: usize, tasks: usize, accumulators: usize, derived: usize): usize {
  let from = accumulators;
  for (let task: usize = 0; task < tasks; task++) {
    for (let sum: usize = 0; sum < 6; sum++) store<f64>(row + (sum << 3), total(from + (sum << 4)));
    store<f64>(row, <f64>load<u64>(from, 96), 48);
    store<f64>(row, <f64>load<u64>(from, 104), 56);
    row += TASK_SUM_BYTES;
    from += TASK_ACCUMULATORS;
  }
  store<f64>(row, total(derived));
  store<f64>(row, total(derived + 16), 8);
  clear(tasks, accumulators, derived);
  return row + UNIFIED_SUM_BYTES;
}

export function clear(tasks: usize, accumulators: usize, derived: usize): void {
  memory.fill(accumulators, 0, tasks * TASK_ACCUMULATORS);
  memory.fill(derived, 0, UNIFIED_SUM_BYTES << 1);
}
