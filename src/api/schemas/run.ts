/** What merges and jobs share. */
import { z } from 'zod';

export const runState = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled']);
export type RunState = z.output<typeof runState>;

export const progressView = z.object({
  phase: z.string(),
  bytes_done: z.int(),
  bytes_total: z.int(),
  percent: z.number(),
  bytes_per_second: z.number(),
  eta_seconds: z.number().nullable().describe('null until the rate is known.'),
});

export const failureView = z.looseObject({ code: z.string(), detail: z.string(), failed_at: z.iso.datetime() });

/** Of every view of a run, beside its request and its result. */
export const runFields = {
  state: runState,
  created_at: z.iso.datetime(),
  attempts: z.int().describe('How often a worker has started it since it was queued.'),
  progress: progressView.optional(),
  error: failureView.optional(),
};
