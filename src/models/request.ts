import { createHash } from 'node:crypto';
import { z } from 'zod';
import { RESCALERS, SCOPES } from '../merge/methods/emr.js';
import { canonicalJson, name } from '../merge/request.js';
import { MAX_BATCH } from './limits.js';

const DEFAULT_BATCH = 256;

const batchSize = z.int().min(1).max(MAX_BATCH).default(DEFAULT_BATCH).describe('Examples that run through at a time.');
const dataset = name.describe('A checkpoint with the tensor `x` [n, …], and `y` [n] where labels are needed.');

const evaluate = z.strictObject({
  type: z.literal('evaluate'),
  model: z
    .union([
      z.strictObject({ checkpoint: name }),
      z.strictObject({
        merge: name.describe('Its id or name; it must have succeeded.'),
        task: name,
        rescaler: z.enum(RESCALERS).optional(),
        scope: z.enum(SCOPES).optional(),
      }),
    ])
    .describe("A checkpoint, or a task's model of a merge, rendered as a download is."),
  dataset,
  batch_size: batchSize,
});

export const jobRequest = z.discriminatedUnion('type', [evaluate]);
export type JobRequest = z.output<typeof jobRequest>;
export type EvaluateRequest = z.output<typeof evaluate>;

/** The job's id: a hash of its canonical request and of the digests of the checkpoints that it reads. */
export function jobId(request: JobRequest, digests: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(canonicalJson({ request, digests })).digest('hex').slice(0, 32);
}
