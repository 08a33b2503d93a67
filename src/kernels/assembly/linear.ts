import { roundTo } from './round';
import { BLOCK, BLOCK_BYTES, STEP, TILE } from './shape';
import { beginRow, finishRow } from './sums';
import { maskAndSum } from './tasks';

/**
 * For m elements (a multiple of 4): τ_t to `taus`, W (rounded to `dtype`) to `target`, u = W - base to `u`. With
 * `ofWeights` W is the weighted sum of W_t over `divisor`, else base plus the weighted sum of τ_t, in task order.
 */
function combineBlock(
  base: usize, weights: usize, stride: usize, tasks: usize, m: usize, taus: usize, target: usize, u: usize,
  coefficients: usize, ofWeights: i32, divisor: f32, dtype: i32,
): void {
  for (let at: usize = 0; at < m << 2; at += 16) {
    const b = v128.load(base + at);
    let sum = f32x4.splat(0);
    for (let task: usize = 0; task < tasks; task++) {
      const weight = v128.load(weights + at + task * stride);
      const tau = f32x4.sub(weight, b);
      v128.store(taus + at + task * BLOCK_BYTES, tau);
      const coefficient = v128.load32_splat(coefficients + (task << 2));
      const term = f32x4.mul(coefficient, ofWeights ? weight : tau);
      sum = task ? f32x4.add(sum, term) : term; // 0 + -0 would lose a sign
    }
    const combined = ofWeights ? f32x4.div(sum, f32x4.splat(divisor)) : f32x4.add(b, sum);
    const rounded = roundTo(combined, dtype);
    v128.store(target + at, rounded);
    v128.store(u + at, f32x4.add(f32x4.sub(rounded, b), f32x4.splat(0))); // -0 becomes +0, as derive.ts needs
  }
}

/** One call of `MergeWorkspace.linear`; arguments as of `emr`, with W going to `target` as f32. */
export function linear(
  base: usize, weights: usize, stride: usize, tasks: usize, n: usize, u: usize, masks: usize, maskStride: usize,
  row: usize, taus: usize, derived: usize, accumulators: usize,
  target: usize, coefficients: usize, ofWeights: i32, divisor: f32, dtype: i32,
): void {
  for (let tile: usize = 0; tile < n; tile += TILE) {
    const end = min(tile + TILE, n);
    beginRow(tasks, accumulators, derived);
    for (let at = tile; at < end; at += BLOCK) {
      const m = min(BLOCK, (end - at + STEP - 1) & ~(STEP - 1));
      const byte = at << 2;
      combineBlock(
        base + byte, weights + byte, stride, tasks, m, taus, target + byte, u + byte,
        coefficients, ofWeights, divisor, dtype,
      );
      maskAndSum(u + byte, m, tasks, taus, derived, masks + (at >> 3), maskStride, accumulators);
    }
    const maskBytes = ((end - tile + STEP - 1) & ~(STEP - 1)) >> 3;
    row = finishRow(row, tasks, accumulators, derived, masks + (tile >> 3), maskStride, maskBytes);
  }
}
