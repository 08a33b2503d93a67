import type { Rule } from '../types.js';
import { type FisherMerge, mergeFisher } from './fisher.js';
import { type LinearMerge, mergeLinear } from './linear.js';
import { type Changes, createTaskVectors } from './task-vectors.js';
import { mergeTies, type TiesMerge } from './ties.js';

/** What becomes of one tensor, with nothing left to find out. Plain data, since it crosses threads. */
export type TensorRule =
  | (Changes & { readonly kind: 'ties' } & TiesMerge)
  | (Changes & { readonly kind: 'linear' } & LinearMerge)
  | ({ readonly kind: 'fisher' } & FisherMerge);

/** The rule for `MergeWorkspace.rule` on n elements from element `start` of the tensor on. */
export function createRule(rule: TensorRule, tasks: number): (start: number) => Rule {
  if (rule.kind === 'fisher') {
    return () => (values, n, merged) => {
      mergeFisher(values.slice(1, tasks + 1), values.slice(tasks + 1), n, rule, merged);
    };
  }
  const taskVectors = createTaskVectors(tasks, rule);
  const merge = (base: Float32Array, taus: readonly Float32Array[], m: number, merged: Float32Array) =>
    rule.kind === 'ties' ? mergeTies(base, taus, m, rule, merged) : mergeLinear(base, taus, m, rule, merged);
  return (start) => (values, n, merged) => {
    taskVectors(values, n, start, (taus, from, m) => {
      merge(values[0]!.subarray(from, from + m), taus, m, merged.subarray(from, from + m));
    });
  };
}
