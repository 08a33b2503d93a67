import type { Rule } from '../types.js';
import { type FisherMerge, mergeFisher } from './fisher.js';
import { type LinearMerge, mergeLinear } from './linear.js';
import { type Changes, createTaskVectors } from './task-vectors.js';
import { mergeTies, type TiesMerge } from './ties.js';

/** What becomes of one tensor, with nothing left to find out. Plain data, since it crosses threads. */
export type TensorRule =
  | ({ readonly kind: 'ties' } & Changes & TiesMerge)
  | ({ readonly kind: 'linear' } & Changes & LinearMerge)
  | ({ readonly kind: 'fisher' } & FisherMerge);

/** The rule for `MergeWorkspace.rule` on elements from `start` of the tensor on; `start` is a multiple of 4. */
export function createRule(rule: TensorRule, tasks: number, start: number): Rule {
  if (rule.kind === 'fisher') {
    return (values, n, merged) => {
      mergeFisher(values.slice(1, 1 + tasks), values.slice(1 + tasks), n, rule, merged);
    };
  }
  const taskVectors = createTaskVectors(tasks, rule);
  return (values, n, merged) => {
    taskVectors(values, n, start, (taus, from, m) => {
      const base = values[0]!.subarray(from, from + m);
      const target = merged.subarray(from, from + m);
      if (rule.kind === 'ties') mergeTies(base, taus, m, rule, target);
      else mergeLinear(base, taus, m, rule, target);
    });
  };
}
