import { z } from 'zod';
import { NAME_PATTERN } from '../../names.js';
import { byTask } from '../limited-record.js';
import { checkWeights, meanWeights } from './average.js';
import { ofTask } from './by-task.js';
import { defineMethod } from './types.js';

/** For each task, by name, the checkpoint that holds its statistics. */
export const statisticsOfTasks = byTask(z.string().regex(NAME_PATTERN));

/** A floor of 0 would divide 0 by 0 where no task has any information. */
const LEAST_FLOOR = 1e-30;

export const fisher = defineMethod({
  title: 'Fisher-weighted averaging',
  paper: 'https://arxiv.org/abs/2111.09832',
  output: 'model',
  params: z.strictObject({
    type: z.literal('fisher'),
    statistics: statisticsOfTasks.describe(
      'For each task a checkpoint with its Fisher diagonal: a float tensor of the same name and shape for every merged one.',
    ),
    floor: z
      .number()
      .min(LEAST_FLOOR)
      .max(1)
      .default(1e-6)
      .describe('The least that an entry of a diagonal counts as, before it is normalised.'),
    normalise: z
      .boolean()
      .default(true)
      .describe('Divide each diagonal by its L2 norm over all merged tensors, so that no task outweighs by scale.'),
    weights: meanWeights.optional().describe('Weight of each task by name. Default: all equal.'),
  }),
  check: ({ weights }, { tasks }) => checkWeights(weights, tasks),
  statistics: ({ statistics }) => ({ kind: 'diagonal', of: statistics }),
  /** Σ c_t·F_t·W_t / Σ c_t·F_t. */
  program({ floor, normalise, weights = {} }, { tasks }) {
    const coefficients = tasks.map((name) => (ofTask(weights, name) ?? 1) / tasks.length);
    return () => ({ kind: 'rule', merge: { kind: 'fisher', coefficients, floor, normalise } });
  },
});
