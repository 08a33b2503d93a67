import { sumsLength, TASK_SUMS, type TaskSums, TILE_ELEMENTS, UNIFIED_SUMS } from './types.js';

/** The sums of `task` (0 … N−1) in one row of `MergeWorkspace.sums`. */
export function taskSums(row: Float64Array, task: number): TaskSums {
  const at = task * TASK_SUMS.length;
  return Object.fromEntries(TASK_SUMS.map((name, i) => [name, row[at + i]!])) as TaskSums;
}

/** Σ|u| and Σu² in one row of `MergeWorkspace.sums`. */
export function unifiedSums(row: Float64Array): Record<(typeof UNIFIED_SUMS)[number], number> {
  const at = row.length - UNIFIED_SUMS.length;
  return { abs_u: row[at]!, u_sq: row[at + 1]! };
}

/** How many rows of sums n elements have. */
export function sumRows(n: number): number {
  return Math.ceil(n / TILE_ELEMENTS);
}

/**
 * The reference for all sums and masks of one call: plain f64 in index order (a product of two f32 is exact in f64).
 * `values` are base and tasks as f32, `u` the unified vector as rounded; fills the masks and the rows of `sums`.
 */
export function maskAndSum(
  values: readonly Float32Array[],
  u: Float32Array,
  n: number,
  masks: readonly Uint8Array[],
  sums: Float64Array,
): void {
  const tasks = values.length - 1;
  const length = sumsLength(tasks);
  for (let start = 0, row = 0; start < n; start += TILE_ELEMENTS, row++) {
    const end = Math.min(n, start + TILE_ELEMENTS);
    for (let task = 0; task < tasks; task++) {
      const at = row * length + task * TASK_SUMS.length;
      sums.set(taskTile(values[0]!, values[task + 1]!, u, start, end, masks[task]!), at);
    }
    sums.set(unifiedTile(u, start, end), (row + 1) * length - UNIFIED_SUMS.length);
  }
}

/** Σ|u| and Σu² of elements start … end − 1, in the order of `UNIFIED_SUMS`. */
export function unifiedTile(u: Float32Array, start: number, end: number): [number, number] {
  let absU = 0;
  let uSq = 0;
  for (let i = start; i < end; i++) {
    absU += Math.abs(u[i]!);
    uSq += u[i]! * u[i]!;
  }
  return [absU, uSq];
}

/** Sums, in the order of `TASK_SUMS`, of one task over elements start … end − 1 of one tile; and its mask, if asked. */
export function taskTile(
  base: Float32Array,
  weight: Float32Array,
  u: Float32Array,
  start: number,
  end: number,
  mask?: Uint8Array,
): number[] {
  mask?.fill(0, start >> 3, (end + 7) >> 3);
  let [absTau, tauSq, maskedAbsU, maskedUSq, aligned, conflict, alignedCount, conflictCount] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let i = start; i < end; i++) {
    const tau = Math.fround(weight[i]! - base[i]!);
    const unified = u[i]!;
    absTau += Math.abs(tau);
    tauSq += tau * tau;
    if ((tau > 0 && unified > 0) || (tau < 0 && unified < 0)) {
      if (mask) mask[i >> 3]! |= 1 << (i & 7);
      maskedAbsU += Math.abs(unified);
      maskedUSq += unified * unified;
      aligned += tau * unified;
      alignedCount++;
    } else if ((tau > 0 && unified < 0) || (tau < 0 && unified > 0)) {
      conflict -= tau * unified;
      conflictCount++;
    }
  }
  return [absTau, tauSq, maskedAbsU, maskedUSq, aligned, conflict, alignedCount, conflictCount];
}
