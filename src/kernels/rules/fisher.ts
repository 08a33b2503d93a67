export interface FisherMerge {
  /** c_t over the norm of the task's diagonal, if that is asked for: one for each task, f64. */
  readonly coefficients: readonly number[];
  /** The least that an entry of a diagonal counts as. */
  readonly floor: number;
}

/**
 * Fisher-weighted averaging (Matena and Raffel, 2022, Eq. 4): W = Σ c_t·max(F_t, floor)·W_t / Σ c_t·max(F_t, floor), in
 * f64, in the order of tasks, and rounded to f32 once: products of small diagonals are far below f32.
 */
export function mergeFisher(
  weights: readonly Float32Array[],
  diagonals: readonly Float32Array[],
  n: number,
  { coefficients, floor }: FisherMerge,
  merged: Float32Array,
): void {
  for (let i = 0; i < n; i++) {
    let sum = 0;
    let total = 0;
    for (let t = 0; t < weights.length; t++) {
      const weight = coefficients[t]! * Math.max(diagonals[t]![i]!, floor);
      sum += weight * weights[t]![i]!;
      total += weight;
    }
    merged[i] = sum / total;
  }
}
