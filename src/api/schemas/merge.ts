import { z } from 'zod';
import { MAX_LISTED } from '../../merge/listed.js';
import { mergeRequest } from '../../merge/request.js';
import { MAX_URL_LENGTH } from '../../outbound/hosts.js';
import { name } from './common.js';
import { runFields } from './run.js';

/** Where a merge's end is told. */
export const webhook = z.strictObject({
  url: z
    .string()
    .max(MAX_URL_LENGTH)
    .meta({ format: 'uri' })
    .describe(
      'Called by POST when the merge has ended, signed; of a host that the operator allows. See docs/webhooks.md.',
    ),
});

/** A webhook is no part of a merge's identity: the same merge may tell several. */
export const mergeBody = mergeRequest.extend({ webhook: webhook.optional() });

const webhookView = z.object({
  host: z.string(),
  state: z.enum(['pending', 'delivered', 'failed']),
  attempts: z.int(),
  delivery: z.string().optional().describe('`webhook-id` of every attempt; once the merge has ended.'),
  last_attempt_at: z.iso.datetime().optional(),
  last_status: z.int().optional(),
  last_error: z.string().optional().describe('Why there was no answer.'),
  next_attempt_at: z.iso.datetime().optional(),
});

export const mergeView = z
  .object({
    id: z.string(),
    name: name.optional(),
    ...runFields,
    request: mergeRequest,
    webhooks: z.array(webhookView).optional(),
    result: z
      .object({ finished_at: z.iso.datetime(), seconds: z.number(), bytes: z.int().describe('Of all its files.') })
      .optional(),
  })
  .meta({ id: 'Merge' });
export type MergeView = z.output<typeof mergeView>;

export const planView = z
  .object({
    tensors: z.array(
      z.object({
        name: z.string(),
        class: z.enum(['merged', 'base_shared', 'task_specific', 'missing']),
        dtype: z.string(),
        shape: z.array(z.int()),
        reason: z.string().optional().describe('Why it is not merged.'),
      }),
    ),
    conflicts: z
      .array(
        z.object({ kind: z.string(), detail: z.string(), tensor: z.string().optional(), task: z.string().optional() }),
      )
      .describe(`The first ${MAX_LISTED} of them.`),
    conflict_count: z.int().describe('Of all, listed or not.'),
    warnings: z.array(z.string()).describe(`The first ${MAX_LISTED} of them, and how many there are more.`),
    files: z.array(z.object({ path: z.string(), bytes: z.int() })).describe('Every artifact but report.json.'),
    input_bytes: z.int().describe('Weights and statistics that the merge reads, in all its passes.'),
    output_bytes: z.int(),
    memory_bytes: z.int().describe('What a worker needs for the merge, on top of its process.'),
    parameters: z.int().describe('Elements that are merged.'),
  })
  .meta({ id: 'Plan' });

export const artifactView = z.object({ path: z.string(), bytes: z.int(), sha256: z.string() });

export const methodView = z.object({
  type: z.string(),
  title: z.string(),
  paper: z.string(),
  output: z.enum(['modulated', 'model']),
  parameters: z.record(z.string(), z.unknown()).describe('JSON schema.'),
});
