import { z } from 'zod';
import { defineMethod } from './types.js';

export const average = defineMethod({
  title: 'Weight averaging (model soups)',
  paper: 'https://arxiv.org/abs/2203.05482',
  output: 'model',
  params: z.strictObject({
    type: z.literal('average'),
    weights: z
      .record(z.string(), z.number().finite().nonnegative())
      .optional()
      .describe('Weight of each task by name; they are divided by their sum. Default: all equal.'),
  }),
  check({ weights }, { tasks }) {
    if (weights === undefined) return [];
    const problems = Object.keys(weights)
      .filter((name) => !tasks.includes(name))
      .map((name) => `weights names ${name}, which is no task of this merge`);
    problems.push(...tasks.filter((name) => !Object.hasOwn(weights, name)).map((name) => `weights lacks task ${name}`));
    if (Object.values(weights).every((weight) => weight === 0)) problems.push('weights are all zero');
    return problems;
  },
  /** Σ w_t·W_t / Σ w_t, summed in the order of the tasks. */
  program({ weights }, _tensor, { tasks }) {
    const ofTask = (name: string) => (weights && Object.hasOwn(weights, name) ? weights[name]! : 1);
    const coefficients = tasks.map((name) => Math.fround(ofTask(name)));
    const divisor = coefficients.reduce((sum, weight) => sum + weight, 0);
    return { kind: 'linear', of: 'weights', coefficients, divisor };
  },
});
