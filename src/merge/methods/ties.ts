import { z } from 'zod';
import { byTask } from '../limited-record.js';
import { coefficient, ofTask, strangers } from './by-task.js';
import { defineMethod, type TiesProgram, type TrimProgram } from './types.js';

export const DIALECTS = ['official', 'vision', 'mergekit', 'peft'] as const;
type Dialect = (typeof DIALECTS)[number];

/** Where the implementations of TIES differ. */
const OF_DIALECT: Record<Dialect, Omit<TrimProgram, 'density'> & Pick<TiesProgram, 'weighted' | 'zero' | 'per'>> = {
  official: { scope: 'model', keeps: 'official', weighted: 'after', zero: 'majority', per: 'count' },
  vision: { scope: 'model', keeps: 'official', weighted: 'after', zero: 'majority', per: 'none' },
  mergekit: { scope: 'tensor', keeps: 'top', weighted: 'before', zero: 'positive', per: 'weights' },
  peft: { scope: 'tensor', keeps: 'top', weighted: 'after', zero: 'positive', per: 'count' },
};

const LAMBDA: Record<Dialect, number> = { official: 1, vision: 0.3, mergekit: 1, peft: 1 };

const density = z.number().min(0).max(1);

export const ties = defineMethod({
  title: 'TIES-Merging: trim, elect sign, disjoint merge',
  paper: 'https://arxiv.org/abs/2306.01708',
  output: 'model',
  params: z.strictObject({
    type: z.literal('ties'),
    dialect: z
      .enum(DIALECTS)
      .default('official')
      .describe('Whose rules: the mean of the authors, their sum for vision models, mergekit, or PEFT.'),
    density: density.default(0.2).describe('The share of each task vector that is kept, largest magnitudes first.'),
    lambda: coefficient
      .optional()
      .describe('The scaling coefficient of the merged vector. Default: 1, and 0.3 for `vision`.'),
    weights: byTask(coefficient)
      .optional()
      .describe('Weight of each task by name, in `mergekit` and `peft`; 1 for a task that is not named.'),
  }),
  check({ dialect, weights }, { tasks }) {
    if (weights === undefined) return [];
    if (dialect === 'official' || dialect === 'vision') return [`weights are not known to the dialect ${dialect}`];
    return strangers('weights', weights, tasks);
  },
  program({ dialect, density, lambda = LAMBDA[dialect], weights = {} }, { tasks }) {
    const { scope, keeps, ...merge } = OF_DIALECT[dialect];
    const ofTasks = tasks.map((name) => ofTask(weights, name) ?? 1);
    return () => ({
      kind: 'rule',
      trim: { scope, keeps, density },
      merge: { kind: 'ties', weights: ofTasks, lambda, ...merge },
    });
  },
});
