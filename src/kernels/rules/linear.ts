const f32 = Math.fround;

/** As `LinearTile` of kernels/types.ts, on task vectors that were changed. */
export interface LinearMerge {
  readonly of: 'task_vectors' | 'weights';
  /** Of each task, as f32. */
  readonly coefficients: Float32Array;
  /** Rounded to f32 before use. */
  readonly divisor: number;
}

/**
 * W = W_pre + Σ c_t·τ_t, or Σ c_t·(W_pre + τ_t) / divisor. Every operation is rounded to f32, in the order of tasks.
 */
export function mergeLinear(
  base: Float32Array,
  taus: readonly Float32Array[],
  n: number,
  { of, coefficients, divisor }: LinearMerge,
  merged: Float32Array,
): void {
  const whole = f32(divisor);
  for (let i = 0; i < n; i++) {
    const from = base[i]!;
    let sum = 0;
    for (let t = 0; t < taus.length; t++) {
      const tau = taus[t]![i]!;
      const term = f32(coefficients[t]! * (of === 'weights' ? f32(from + tau) : tau));
      sum = t === 0 ? term : f32(sum + term);
    }
    merged[i] = of === 'weights' ? sum / whole : from + sum;
  }
}
