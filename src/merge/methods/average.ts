import { z } from 'zod';
import { byTask } from '../limited-record.js';
import { MAX_COEFFICIENT, ofTask, strangers } from './by-task.js';
import { defineMethod } from './types.js';

/** Weights of a mean: each at least 0, and one above. */
export const meanWeights = byTask(z.number().nonnegative().max(MAX_COEFFICIENT));

/** What is wrong with the weights of a mean, as sentences. */
export function checkWeights(weights: z.output<typeof meanWeights> | undefined, tasks: readonly string[]): string[] {
  if (weights === undefined) return [];
  const problems = strangers('weights', weights, tasks);
  problems.push(...tasks.filter((name) => !Object.hasOwn(weights, name)).map((name) => `weights lacks task ${name}`));
  // In f32, in which they are used.
  if (Object.values(weights).every((weight) => Math.fround(weight) === 0)) problems.push('weights are all zero');
  return problems;
}

export const average = defineMethod({
  title: 'Weight averaging (model soups)',
  paper: 'https://arxiv.org/abs/2203.05482',
  output: 'model',
  params: z.strictObject({
    type: z.literal('average'),
    weights: meanWeights
      .optional()
      .describe('Weight of each task by name; they are divided by their sum. Default: all equal.'),
  }),
  check: ({ weights }, { tasks }) => checkWeights(weights, tasks),
  /** Σ w_t·W_t / Σ w_t, summed in the order of the tasks. */
  program({ weights = {} }, { tasks }) {
    const coefficients = tasks.map((name) => Math.fround(ofTask(weights, name) ?? 1));
    const divisor = coefficients.reduce((sum, weight) => sum + weight, 0);
    return () => ({ kind: 'linear', of: 'weights', coefficients, divisor });
  },
});
