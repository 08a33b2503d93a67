import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MAX_TASKS } from '../merge/max-tasks.js';
import { RESCALERS, SCOPES, STEPS } from '../merge/methods/emr.js';
import { canonicalJson, distinctNames, globs, name } from '../merge/request.js';
import { MAX_BATCH } from './limits.js';

const DEFAULT_BATCH = 256;
/** The batch of the paper's own experiments, as is the number of steps. */
const ADAMERGING_BATCH = 16;
const MAX_STEPS = 100_000;
const MAX_SEED = 2 ** 32 - 1;

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
        steps: z.enum(STEPS).optional(),
      }),
    ])
    .describe("A checkpoint, or a task's model of a merge, rendered as a download is."),
  dataset,
  batch_size: batchSize,
});

const output = name.describe('The name of the checkpoint that is made.');
const seed = z.int().min(0).max(MAX_SEED).default(0);
const samples = z
  .int()
  .min(1)
  .optional()
  .describe('Take so many examples, drawn by `seed` without repetition; all if left out.');

/** Whose gradient is squared: that of log p(y | x) for which y. */
export const FISHER_LABELS = ['expectation', 'sampled', 'given'] as const;

const fisher = z.strictObject({
  type: z.literal('fisher'),
  checkpoint: name,
  dataset,
  output,
  labels: z
    .enum(FISHER_LABELS)
    .default('expectation')
    .describe(
      "`expectation`: every class, weighted by the model's own probability, as in the paper (a backward pass for each " +
        'class); `sampled`: one class drawn from it; `given`: the `y` of the data set, the empirical Fisher.',
    ),
  samples,
  seed,
});

const gram = z.strictObject({
  type: z.literal('gram'),
  checkpoint: name,
  dataset,
  output,
  samples,
  seed,
  batch_size: batchSize,
});

const adamerging = z.strictObject({
  type: z.literal('adamerging'),
  base: name,
  tasks: z
    .array(z.strictObject({ name, checkpoint: name, dataset }))
    .min(1)
    .max(MAX_TASKS.ceiling)
    .refine(...distinctNames)
    .meta({ uniqueItems: true }),
  include: globs.optional().describe('As of a merge: what it would merge is weighed here, by the same rules.'),
  exclude: globs.optional(),
  granularity: z
    .enum(['task', 'layer'])
    .default('task')
    .describe('A coefficient for each task, or for each tensor of each task.'),
  trimmed: z
    .strictObject({ density: z.number().positive().max(1).default(0.2) })
    .optional()
    .describe(
      'AdaMerging++: of each task vector only this share, the largest in magnitude, and of it what has the elected sign, as in TIES.',
    ),
  steps: z.int().min(1).max(MAX_STEPS).default(500),
  learning_rate: z.number().positive().max(1).default(1e-3).describe('Of Adam (β 0.9 and 0.999).'),
  initial: z.number().min(0).max(1).default(0.3).describe('Every coefficient before the first step.'),
  batch_size: z.int().min(1).max(MAX_BATCH).default(ADAMERGING_BATCH).describe('Examples of each task in a step.'),
  seed,
});

export const jobRequest = z.discriminatedUnion('type', [evaluate, fisher, gram, adamerging]);
export type JobRequest = z.output<typeof jobRequest>;
export type EvaluateRequest = z.output<typeof evaluate>;
export type FisherRequest = z.output<typeof fisher>;
export type GramRequest = z.output<typeof gram>;
export type AdaMergingRequest = z.output<typeof adamerging>;

/** The job's id: a hash of its canonical request and of the digests of the checkpoints that it reads. */
export function jobId(request: JobRequest, digests: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(canonicalJson({ request, digests })).digest('hex').slice(0, 32);
}
