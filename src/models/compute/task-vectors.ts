import { signBalance } from '../../kernels/rules/ties.js';
import {
  countLower,
  countUpper,
  findRank,
  LOWER_BINS,
  magnitudeOf,
  trim,
  UPPER_BINS,
} from '../../kernels/rules/trim.js';
import { rankOf } from '../../merge/stages.js';
import type { AdaMergingTask, ModelFiles } from '../task.js';
import { floatsOf } from './model.js';

/** One tensor of the models that are merged: the base's weights, and the task vector of every task. */
export interface MergedTensor {
  readonly name: string;
  readonly base: Float32Array;
  readonly vectors: readonly Float32Array[];
}

/**
 * W − W_pre in f32 of every task, for each tensor of the base; with a density, trimmed and elected as by TIES.
 * `non_finite_weight`.
 */
export function taskVectors(
  base: AdaMergingTask['base'],
  tasks: readonly ModelFiles[],
  density: number | undefined,
): MergedTensor[] {
  const found = tasks.map(({ name, tensors }) => ({ name, tensors: new Map(tensors.map((one) => [one.name, one])) }));
  const merged = base.tensors.map((tensor) => {
    const values = floatsOf(tensor, base.name);
    const vectors = found.map(({ name, tensors }) =>
      floatsOf(tensors.get(tensor.name)!, name).map((weight, i) => weight - values[i]!),
    );
    return { name: tensor.name, base: values, vectors };
  });
  if (density === undefined) return merged;
  tasks.forEach((_, t) => {
    trimToDensity(
      merged.map(({ vectors }) => vectors[t]!),
      density,
    );
  });
  elect(merged.map(({ vectors }) => vectors));
  return merged;
}

/** Keeps, in place, the share of largest magnitude over all parts together, as the official code of TIES does. */
export function trimToDensity(parts: readonly Float32Array[], density: number): void {
  const rank = rankOf(
    { scope: 'model', keeps: 'official', density },
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  if (rank < 1) return;
  const uppers = new Float64Array(UPPER_BINS);
  const lowers = new Float64Array(LOWER_BINS);
  for (const part of parts) countUpper(part, part.length, uppers);
  const upper = findRank(uppers, rank);
  for (const part of parts) countLower(part, part.length, upper.bin, lowers);
  const threshold = magnitudeOf(upper.bin, findRank(lowers, upper.rank).bin);
  for (const part of parts) trim(part, part.length, threshold);
}

/**
 * Sets to 0, in place, what is against the sign of the sum over tasks; where that is 0, against the sign that most sums
 * have. Each part has one vector of every task.
 */
export function elect(parts: readonly (readonly Float32Array[])[]): void {
  const balance = parts.reduce((sum, vectors) => sum + signBalance(vectors, vectors[0]!.length), 0);
  const majority = balance > 0 ? 1 : -1;
  for (const vectors of parts) {
    for (let i = 0; i < vectors[0]!.length; i++) {
      const sum = vectors.reduce((all, vector) => Math.fround(all + vector[i]!), 0);
      const sign = Math.sign(sum) || majority;
      for (const vector of vectors) if (vector[i]! * sign < 0) vector[i] = 0;
    }
  }
}

/** W_pre + Σ λ_t·τ_t, summed in f64. */
export function combine({ base, vectors }: MergedTensor, coefficients: readonly number[]): Float32Array {
  const sum = Float64Array.from(base);
  vectors.forEach((vector, t) => {
    const coefficient = coefficients[t]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += coefficient * vector[i]!;
  });
  return Float32Array.from(sum);
}

/** Σ a_i·b_i in f64. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
