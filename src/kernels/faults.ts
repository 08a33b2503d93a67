import type { TileFault } from './types.js';

/**
 * The first thing wrong with a tile, by index, then by input. `values` are base and tasks as f32 (N + 1 arrays);
 * `result` is what was made of them, in the output dtype's range; `culprit(i)` names the task to blame where all inputs
 * are sound and the result is not.
 */
export function locateFault(
  values: readonly Float32Array[],
  n: number,
  result: Float32Array,
  culprit: (index: number) => number,
): TileFault | undefined {
  const base = values[0]!;
  for (let index = 0; index < n; index++) {
    for (let input = 0; input < values.length; input++) {
      if (!Number.isFinite(values[input]![index])) return { kind: 'non_finite', input, index };
    }
    for (let input = 1; input < values.length; input++) {
      if (!Number.isFinite(Math.fround(values[input]![index]! - base[index]!))) {
        return { kind: 'overflow', input, index };
      }
    }
    if (!Number.isFinite(result[index])) return { kind: 'result_overflow', input: culprit(index), index };
  }
  return undefined;
}

/** The lowest task (1 … N) of the largest `size(t)`. */
export function largest(tasks: number, size: (task: number) => number): number {
  let found = 1;
  for (let task = 2; task <= tasks; task++) if (size(task) > size(found)) found = task;
  return found;
}

/** The lowest task of the largest |τ|, for a W that a rule made and that is beyond the output dtype. */
export function farthest(values: readonly Float32Array[], index: number): number {
  return largest(values.length - 1, (task) => Math.abs(values[task]![index]! - values[0]![index]!));
}

/** The first statistic that is NaN, infinite or negative, by index, then by task. */
export function locateBadStatistic(statistics: readonly Float32Array[], n: number): TileFault | undefined {
  if (statistics.length === 0) return undefined;
  for (let index = 0; index < n; index++) {
    for (const [t, values] of statistics.entries()) {
      const value = values[index]!;
      if (!(value >= 0 && value < Infinity)) return { kind: 'statistic', input: t + 1, index };
    }
  }
  return undefined;
}
