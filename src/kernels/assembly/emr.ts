import { deriveBlock } from './derive';
import { electBlock } from './elect';
import { alignBlock, measureBlock } from './measure';
import { BLOCK, BLOCK_BYTES, STEP, TASK_ACCUMULATORS, TILE } from './shape';
import { clear, finishRow } from './sums';

/**
 * One call of `MergeWorkspace.emr` on inputs that are f32 already and padded with zeros to STEP elements: base at
 * `base`, task t (from 0) at `weights + t * stride`; u goes to `u`, mask t to `masks + t * maskStride`, sums to `row`.
 * Work space: `taus` N blocks, `derived` as deriveBlock, `accumulators` N × TASK_ACCUMULATORS.
 */
export function emr(
  base: usize, weights: usize, stride: usize, tasks: usize, n: usize, u: usize, masks: usize, maskStride: usize,
  row: usize, taus: usize, derived: usize, accumulators: usize, zeroIsNegative: i32, rounding: i32, magnitude: i32,
): void {
  const zeros = i32x4.splat(-zeroIsNegative);
  clear(tasks, accumulators, derived);
  for (let at: usize = 0; at < n; at += BLOCK) {
    const m = min(BLOCK, (n - at + STEP - 1) & ~(STEP - 1));
    const byte = at << 2;
    electBlock(base + byte, weights + byte, stride, tasks, m, taus, u + byte, zeros, rounding);
    deriveBlock(u + byte, m, derived);
    for (let task: usize = 0; task < tasks; task++) {
      const mask = masks + task * maskStride + (at >> 3);
      alignBlock(taus + task * BLOCK_BYTES, derived, m, mask, accumulators + task * TASK_ACCUMULATORS);
      measureBlock(taus + task * BLOCK_BYTES, u + byte, m, accumulators + task * TASK_ACCUMULATORS, i32x4.splat(magnitude));
    }
    const next = at + BLOCK;
    if ((next & (TILE - 1)) == 0 || next >= n) row = finishRow(row, tasks, accumulators, derived);
  }
}
