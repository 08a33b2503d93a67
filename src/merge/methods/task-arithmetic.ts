import { z } from 'zod';
import { firstMatch, globPattern } from '../globs.js';
import { byTask } from '../limited-record.js';
import { coefficient, ofTask, strangers } from './by-task.js';
import { defineMethod } from './types.js';

/** A layer for each tensor of a large model; those with wildcards are bounded by what matching them takes. */
const MAX_LAYERS = 10_000;

export const taskArithmetic = defineMethod({
  title: 'Task Arithmetic',
  paper: 'https://arxiv.org/abs/2212.04089',
  output: 'model',
  params: z.strictObject({
    type: z.literal('task_arithmetic'),
    lambda: coefficient.default(0.3).describe('The scaling coefficient of every task vector.'),
    lambdas: byTask(coefficient)
      .optional()
      .describe('A coefficient for each task by name, in place of `lambda`; a task that is not named keeps `lambda`.'),
    layers: z
      .array(z.strictObject({ pattern: globPattern, lambda: coefficient }))
      .max(MAX_LAYERS)
      .optional()
      .describe('A factor on top for tensors whose name matches; the first that matches counts, 1 if none does.'),
  }),
  check: ({ lambdas = {} }, { tasks }) => strangers('lambdas', lambdas, tasks),
  /** W_pre + Σ λ_t·τ_t. */
  program({ lambda, lambdas = {}, layers = [] }, { tasks }) {
    const layerOf = firstMatch(layers.map(({ pattern }) => pattern));
    const ofTasks = tasks.map((task) => ofTask(lambdas, task) ?? lambda);
    return ({ name }) => {
      const factor = layers[layerOf(name)]?.lambda ?? 1;
      const coefficients = ofTasks.map((own) => own * factor);
      return { kind: 'linear', of: 'task_vectors', coefficients, divisor: 1 };
    };
  },
});
