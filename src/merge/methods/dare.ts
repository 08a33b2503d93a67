import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Words } from '../../kernels/rules/threefry.js';
import { average } from './average.js';
import { regmean } from './regmean.js';
import { taskArithmetic } from './task-arithmetic.js';
import { ties } from './ties.js';
import { type DropProgram, defineMethod, type Method } from './types.js';

const innerParams = z.discriminatedUnion('type', [average.params, taskArithmetic.params, ties.params, regmean.params]);
type InnerParams = z.output<typeof innerParams>;

const INNER: Record<InnerParams['type'], Method> = {
  average: average as unknown as Method,
  task_arithmetic: taskArithmetic as unknown as Method,
  ties: ties as unknown as Method,
  regmean: regmean as unknown as Method,
};

/** A seed that no number of JavaScript rounds. */
const MAX_SEED = Number.MAX_SAFE_INTEGER;

export const dare = defineMethod({
  title: 'DARE: drop and rescale, before another method',
  paper: 'https://arxiv.org/abs/2311.03099',
  output: 'model',
  params: z.strictObject({
    type: z.literal('dare'),
    drop_rate: z.number().min(0).max(1).default(0.9).describe('The probability p that an element is dropped.'),
    rescale: z
      .enum(['inverse', 'l1', 'none'])
      .default('inverse')
      .describe(
        'What is kept: divided by 1 − p; scaled so that its L1 norm is that of the tensor before; or as it is.',
      ),
    seed: z.int().min(0).max(MAX_SEED).default(0).describe('Another seed drops other elements.'),
    inner: innerParams
      .default({ type: 'task_arithmetic', lambda: 0.3 })
      .describe('The method that merges what is left, with its own parameters.'),
  }),
  check: ({ inner }, context, tensors) => INNER[inner.type].check(inner, context, tensors),
  statistics: ({ inner }) => INNER[inner.type].statistics?.(inner),
  program({ drop_rate, rescale, seed, inner }, context) {
    const ofInner = INNER[inner.type].program(inner, context);
    return (tensor) => {
      const keys = context.tasks.map((task) => dropKey(seed, task, tensor.name));
      const drop: DropProgram = { keys, keep: 1 - drop_rate, rescale };
      const program = ofInner(tensor);
      switch (program.kind) {
        case 'linear':
          return { kind: 'rule', drop, merge: program };
        case 'emr':
          throw new TypeError('EMR-Merging is no inner method');
        default:
          return { ...program, drop };
      }
    };
  },
});

/**
 * The key of a task's random words for a tensor: 128 bits of a SHA-256. It is made of names, so that neither the order
 * of tasks nor that of tensors changes what is dropped.
 */
export function dropKey(seed: number, task: string, tensor: string): Words {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, task, tensor]))
    .digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8), digest.readUInt32LE(12)];
}
