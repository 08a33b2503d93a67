import { taskTile, unifiedTile } from './sums.js';
import { sumsLength, TASK_SUMS, TILE_ELEMENTS, UNIFIED_SUMS } from './types.js';

/**
 * The least sum of products that the f32 kernels are trusted with. A product that underflows is off by 2^-150 at most,
 * so the 65,536 of a tile by 5e-41 together: less than 1e-8 of this.
 */
const LEAST_PRODUCT_SUM = 1e-32;

/** A sum of products is right if it is large enough, or 0 because there was nothing to add. */
const trusted = (sum: number, terms: number) => sum >= LEAST_PRODUCT_SUM || terms === 0;

/** Sums in the order of TASK_SUMS: none overflowed, no product underflowed. (Not finite stays so in any sum.) */
function soundTask(row: Float64Array, at: number): boolean {
  const [absTau, tauSq, absU, uSq, aligned, conflict, alignedCount, conflictCount] = row.subarray(at, at + 8);
  return (
    Number.isFinite(absTau! + tauSq! + absU! + uSq! + aligned! + conflict!) &&
    trusted(tauSq!, absTau!) &&
    trusted(uSq!, alignedCount!) &&
    trusted(aligned!, alignedCount!) &&
    trusted(conflict!, conflictCount!)
  );
}

/**
 * Takes sums that are beyond the range of f32 products again, in f64, from the reference: `rows` as in
 * `MergeWorkspace.sums`, `values` base and tasks as f32, `u` the unified vector, of which n elements count. Depends on nothing but the data.
 * Returns false if a sum is not finite even so: a fault of the input.
 */
export function repairSums(rows: Float64Array, values: readonly Float32Array[], u: Float32Array, n: number): boolean {
  const tasks = values.length - 1;
  const length = sumsLength(tasks);
  for (let row = 0; row * length < rows.length; row++) {
    const start = row * TILE_ELEMENTS;
    const end = Math.min(n, start + TILE_ELEMENTS);
    for (let task = 0; task < tasks; task++) {
      const at = row * length + task * TASK_SUMS.length;
      if (!soundTask(rows, at)) rows.set(taskTile(values[0]!, values[task + 1]!, u, start, end), at);
      if (!Number.isFinite(rows[at])) return false;
    }
    const at = (row + 1) * length - UNIFIED_SUMS.length;
    const [absU, uSq] = [rows[at]!, rows[at + 1]!];
    if (!Number.isFinite(absU + uSq) || !trusted(uSq, absU)) rows.set(unifiedTile(u, start, end), at);
    if (!Number.isFinite(rows[at])) return false;
  }
  return true;
}
