import { z } from 'zod';
import { defineMethod } from './types.js';

/** As the coefficients of Task Arithmetic: far beyond any use, and the sum of all tasks' stays far below f32's end. */
const MAX_WEIGHT = 1e6;

export const average = defineMethod({
  title: 'Weight averaging (model soups)',
  paper: 'https://arxiv.org/abs/2203.05482',
  output: 'model',
  params: z.strictObject({
    type: z.literal('average'),
    weights: z
      .record(z.string(), z.number().nonnegative().max(MAX_WEIGHT))
      .optional()
      .describe('Weight of each task by name; they are divided by their sum. Default: all equal.'),
  }),
  check({ weights }, { tasks }) {
    if (weights === undefined) return [];
    const problems = Object.keys(weights)
      .filter((name) => !tasks.includes(name))
      .map((name) => `weights names ${name}, which is no task of this merge`);
    problems.push(...tasks.filter((name) => !Object.hasOwn(weights, name)).map((name) => `weights lacks task ${name}`));
    // In f32, in which they are used.
    if (Object.values(weights).every((weight) => Math.fround(weight) === 0)) problems.push('weights are all zero');
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
