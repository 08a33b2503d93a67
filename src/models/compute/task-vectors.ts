import type { RawTensor } from '../task.js';
import { floatsOf } from './model.js';

/** One tensor of the models that are merged: the base's weights, and the task vector of every task. */
export interface MergedTensor {
  readonly name: string;
  readonly base: Float32Array;
  readonly vectors: readonly Float32Array[];
}

/** W − W_pre in f32 of every task, for each tensor of the base; with a density, trimmed as of TIES. */
export function taskVectors(
  base: readonly RawTensor[],
  tasks: readonly (readonly RawTensor[])[],
  density: number | undefined,
): MergedTensor[] {
  const found = tasks.map((tensors) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  const merged = base.map((tensor) => {
    const values = floatsOf(tensor);
    const vectors = found.map((task) => floatsOf(task.get(tensor.name)!).map((weight, i) => weight - values[i]!));
    return { name: tensor.name, base: values, vectors };
  });
  if (density !== undefined) {
    tasks.forEach((_, t) => {
      trim(
        merged.map(({ vectors }) => vectors[t]!),
        density,
      );
    });
  }
  return merged;
}

/**
 * Sets to 0, in place, what is smaller in magnitude than the (d − int(density·d))-th smallest of all d elements, counted
 * from 1: the largest stay, and any that are as large as the smallest of them.
 */
export function trim(parts: readonly Float32Array[], density: number): void {
  const d = parts.reduce((sum, part) => sum + part.length, 0);
  const magnitudes = new Float32Array(d);
  let at = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) magnitudes[at++] = Math.abs(part[i]!);
  }
  magnitudes.sort();
  const threshold = magnitudes[d - Math.trunc(density * d) - 1] ?? 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i++) if (Math.abs(part[i]!) < threshold) part[i] = 0;
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
