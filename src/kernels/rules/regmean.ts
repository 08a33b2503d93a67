import { cholesky, leastIndependent, solveCholesky } from './cholesky.js';

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
 * Cholesky factorisation; rounded to f32 once. `roundoff` is that of the Gram matrices as they are stored, relative to
 * each entry.
 */
export function createRegMean(
  inputs: number,
  outputs: number,
  orientation: Orientation,
  reduce: number,
  roundoff: number,
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
      const tolerance = toleranceOf(total, inputs, reduce, roundoff);
      const singular = cholesky(total, inputs, tolerance);
      if (singular !== undefined) return singular;
      const least = leastIndependent(total, inputs);
      if (!(least.left > tolerance)) return least.row;
      solveCholesky(total, inputs, sides);
      for (let out = 0; out < outputs; out++) {
        for (let i = 0; i < inputs; i++) merged[out * perOutput + i * perInput] = sides[out * inputs + i]!;
      }
      return undefined;
    },
  };
}

/** Gram matrices are often added up in the precision they are stored in, which errs more than the last rounding. */
const SUMMATION = 4;

/**
 * How much of a diagonal entry may be rounding. That of the statistics moves no eigenvalue of the matrix, scaled to a
 * diagonal of ones, by more than roundoff times its Frobenius norm. But with `reduce` below 1 a part of 1 − reduce of
 * each input depends on no other, whatever the data: half of this is enough, unless the usual rounding (like √d, being
 * random) is larger than it all. f64 adds its own, by column.
 */
function toleranceOf(total: Float64Array, d: number, reduce: number, roundoff: number): number {
  let squares = 0;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      const product = total[i * d + i]! * total[j * d + j]!;
      if (product > 0) squares += total[i * d + j]! ** 2 / product;
    }
  }
  const kept = 1 - reduce;
  const most = kept > roundoff * Math.sqrt(d) ? kept / 2 : Number.POSITIVE_INFINITY;
  return Math.max(Math.min(SUMMATION * roundoff * Math.sqrt(squares), most), d * Number.EPSILON);
}
