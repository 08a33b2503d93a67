import { z } from 'zod';
import { defineMethod } from './types.js';

export const RESCALERS = ['global', 'tensor-mean', 'l2'] as const;
export const SCOPES = ['model', 'tensor'] as const;
/** How far a reconstruction goes: the paper's ablation. */
export const STEPS = ['elect', 'mask', 'rescale'] as const;

export const emr = defineMethod({
  title: 'EMR-Merging: elect, mask and rescale',
  paper: 'https://arxiv.org/abs/2405.17461',
  output: 'modulated',
  params: z.strictObject({
    type: z.literal('emr'),
    zero_sign: z
      .enum(['zero', 'negative'])
      .default('zero')
      .describe('sgn(0) in the election: `zero` as in the paper, `negative` as in the official code.'),
    rescaler: z
      .enum(RESCALERS)
      .default('global')
      .describe('Which λ a reconstruction uses unless its request names one. All are computed in every merge.'),
    scope: z.enum(SCOPES).default('model').describe('One λ for each task, or one for each task and tensor.'),
    // Without a default: it would change the ids of all merges that were made before there was a choice.
    steps: z
      .enum(STEPS)
      .optional()
      .describe('What a reconstruction uses: W_pre + u, W_pre + M⊙u, or all three (`rescale`, the default).'),
  }),
  check: () => [],
  program:
    ({ zero_sign }) =>
    () => ({ kind: 'emr', zeroSign: zero_sign }),
});
