import { z } from 'zod';
import { statisticsOfTasks } from './fisher.js';
import { defineMethod } from './types.js';

export const regmean = defineMethod({
  title: 'RegMean: linear layers by least squares',
  paper: 'https://arxiv.org/abs/2212.09849',
  output: 'model',
  params: z.strictObject({
    type: z.literal('regmean'),
    statistics: statisticsOfTasks.describe(
      'For each task a checkpoint with a Gram matrix XᵀX, d_in × d_in, under the name of each linear weight. A merged tensor without one is averaged.',
    ),
    reduce: z
      .number()
      .min(0)
      .max(1)
      .default(0.9)
      .describe('a: the entries of a Gram matrix beside its diagonal are multiplied by it.'),
    square: z
      .enum(['out_in', 'in_out'])
      .default('out_in')
      .describe(
        'How a square weight lies: `[out, in]` as in PyTorch, or `[in, out]` as in Keras. Others tell it themselves.',
      ),
  }),
  check: () => [],
  statistics: ({ statistics }) => ({ kind: 'gram', of: statistics }),
  /** (Σ G_t)⁻¹ Σ G_t·W_tᵀ where there are Gram matrices, else the mean of W_t. */
  program:
    ({ reduce, square }, { tasks }) =>
    ({ shape, statistic }) => {
      if (statistic === undefined) {
        return { kind: 'linear', of: 'weights', coefficients: tasks.map(() => 1), divisor: tasks.length };
      }
      const [rows, columns] = [shape[0]!, shape[1]!];
      const inputs = statistic[0]!;
      const orientation = rows === columns ? square : inputs === columns ? 'out_in' : 'in_out';
      return { kind: 'regmean', inputs, outputs: orientation === 'out_in' ? rows : columns, orientation, reduce };
    },
});
