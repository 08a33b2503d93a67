import { electBlock } from './elect';
import { BLOCK, STEP, TILE } from './shape';
import { beginRow, finishRow } from './sums';
import { maskAndSum } from './tasks';

/**
 * One call of `MergeWorkspace.emr` on inputs that are f32 already and padded with zeros to STEP elements: base at
 * `base`, task t (from 0) at `weights + t * stride`; u goes to `u`, mask t to `masks + t * maskStride`, sums to `row`.
 * Work space: `taus` N blocks, `derived` as in derive.ts, `accumulators` N × TASK_ACCUMULATORS.
 */
export function emr(
  base: usize, weights: usize, stride: usize, tasks: usize, n: usize, u: usize, masks: usize, maskStride: usize,
  row: usize, taus: usize, derived: usize, accumulators: usize, zeroIsNegative: i32, dtype: i32,
): void {
  for (let tile: usize = 0; tile < n; tile += TILE) {
    const end = min(tile + TILE, n);
    beginRow(tasks, accumulators, derived);
    for (let at = tile; at < end; at += BLOCK) {
      const m = min(BLOCK, (end - at + STEP - 1) & ~(STEP - 1));
      const byte = at << 2;
      electBlock(base + byte, weights + byte, stride, tasks, m, taus, u + byte, zeroIsNegative, dtype);
      maskAndSum(u + byte, m, tasks, taus, derived, masks + (at >> 3), maskStride, accumulators);
    }
    const maskBytes = ((end - tile + STEP - 1) & ~(STEP - 1)) >> 3;
    row = finishRow(row, tasks, accumulators, derived, masks + (tile >> 3), maskStride, maskBytes);
  }
}
