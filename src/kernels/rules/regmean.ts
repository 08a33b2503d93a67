import { cholesky, solveCholesky } from './cholesky.js';

/** Where the inputs of a linear layer lie in its weight: PyTorch's `[out, in]`, or `[in, out]` as in a Dense kernel. */
export type Orientation = 'out_in' | 'in_out';

export interface RegMeanSystem {
  /** Adds task t's Gram matrix (d_in × d_in, row-major) and weight (as the checkpoint has it). */
  add(gram: ArrayLike<number>, weight: ArrayLike<number>): void;
  /** Writes W as the checkpoint lays it out; or returns the row at which the system is singular. */
  solve(merged: Float32Array): number | undefined;
}

/**
 * RegMean (Jin et al., 2023, Eq. 2) for one linear layer of `inputs` × `outputs`: W = (Σ G_t)⁻¹ Σ G_t W_t with W_t as
 * [in, out], where the entries of G_t beside its diagonal are multiplied by `reduce`. In f64, in the order of tasks, by
 * Cholesky factorisation; rounded to f32 once.
 */
export function createRegMean(
  inputs: number,
  outputs: number,
  orientation: Orientation,
  reduce: number,
): RegMeanSystem {
  const total = new Float64Array(inputs * inputs);
  /** Σ G_t W_t, transposed: one row for each output. */
  const sides = new Float64Array(outputs * inputs);
  const [perOutput, perInput] = orientation === 'out_in' ? [inputs, 1] : [1, outputs];
  return {
    add(gram, weight) {
      const column = new Float64Array(inputs);
      const scaled = Float64Array.from(gram, (value, at) =>
        Math.floor(at / inputs) === at % inputs ? value : value * reduce,
      );
      for (let i = 0; i < total.length; i++) total[i]! += scaled[i]!;
      for (let out = 0; out < outputs; out++) {
        for (let i = 0; i < inputs; i++) column[i] = weight[out * perOutput + i * perInput]!;
        for (let i = 0; i < inputs; i++) {
          const row = i * inputs;
          let sum = 0;
          for (let k = 0; k < inputs; k++) sum += scaled[row + k]! * column[k]!;
          sides[out * inputs + i]! += sum;
        }
      }
    },
    solve(merged) {
      const singular = cholesky(total, inputs);
      if (singular !== undefined) return singular;
      solveCholesky(total, inputs, sides);
      for (let out = 0; out < outputs; out++) {
        for (let i = 0; i < inputs; i++) merged[out * perOutput + i * perInput] = sides[out * inputs + i]!;
      }
      return undefined;
    },
  };
}
