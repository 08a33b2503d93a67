import { type Drop, drop } from './dare.js';
import { trim } from './trim.js';

/** Elements whose task vectors are made at a time: N of these stay in a core's cache. A multiple of 4, as `drop` needs. */
export const BLOCK = 4096;

/** What is done to task vectors before they are merged, for one tensor; one of each for each task. */
export interface Changes {
  readonly drops?: readonly Drop[] | undefined;
  readonly thresholds?: readonly number[] | undefined;
}

export type TaskVectors = (
  values: readonly Float32Array[],
  n: number,
  start: number,
  each: (taus: readonly Float32Array[], from: number, m: number) => void,
) => boolean;

/**
 * The task vectors τ_t = W_t − W_pre of N tasks, changed, block by block: `each` gets the first m elements of `taus`,
 * which begin at element `from` of `values` (base and tasks, f32, of which n elements count, from element `start` of the
 * tensor on). False if an input or a task vector is not finite.
 */
export function createTaskVectors(tasks: number, { drops, thresholds }: Changes): TaskVectors {
  const taus = Array.from({ length: tasks }, () => new Float32Array(BLOCK));
  return (values, n, start, each) => {
    let trace = 0;
    for (let from = 0; from < n; from += BLOCK) {
      const m = Math.min(BLOCK, n - from);
      const base = values[0]!.subarray(from, from + m);
      for (const [t, tau] of taus.entries()) {
        trace += subtract(values[t + 1]!.subarray(from, from + m), base, tau);
        if (drops) drop(tau, m, start + from, drops[t]!);
        if (thresholds) trim(tau, m, thresholds[t]!);
      }
      each(taus, from, m);
    }
    return Number.isFinite(trace);
  };
}

/** Writes weight − base, each rounded to f32; their sum in f64, which is not finite if one of them is not. */
function subtract(weight: Float32Array, base: Float32Array, tau: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < weight.length; i++) {
    const difference = Math.fround(weight[i]! - base[i]!);
    tau[i] = difference;
    sum += difference;
  }
  return sum;
}
