/** What lies in Redis for a job: its ids and its progress, and nothing that cannot be lost. */
import type { Job as BullJob } from 'bullmq';
import { z } from 'zod';
import { JOB_KINDS, type Job, type Progress } from './types.js';

/** Merges and jobs; what else there is to do has a queue of its own, so that it need not wait for them. */
export const QUEUE_NAME = 'merges';

export type QueuedJob = BullJob<unknown, void, string>;

/** Longest namespace or id that is taken from Redis; names have at most 96 characters, ids are hashes. */
const MAX_ID = 256;

const jobSchema = z.strictObject({
  /** Queued by a version that had merges only: one of those. */
  kind: z.enum(JOB_KINDS).default('merge'),
  namespace: z.string().min(1).max(MAX_ID),
  id: z.string().min(1).max(MAX_ID),
  opening: z.number().int().min(1).optional(),
});

const progressSchema = z.object({
  phase: z.string(),
  bytes_done: z.number(),
  bytes_total: z.number(),
  bytes_per_second: z.number(),
});

/** undefined: not written by this program. */
export function readJob(data: unknown): Job | undefined {
  return jobSchema.safeParse(data).data;
}

/** undefined: none was sent yet (BullMQ then has 0). */
export function readProgress(progress: unknown): Progress | undefined {
  return progressSchema.safeParse(progress).data;
}

/** One enqueueing of a job: the same job added again has another instance. */
export function instanceOf(job: QueuedJob): string {
  return `${job.id}@${job.timestamp}`;
}
