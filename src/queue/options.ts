import type { Job, WorkerOptions } from './types.js';

export type Log = (message: string, error: unknown) => void;

/** Options that both queues take. */
export interface QueueOptions {
  /** How often a job may be tried before `onExhausted`; being handed back by a worker that closes is not a try. */
  readonly maxAttempts?: number;
  /** Wait before the second try, in milliseconds; it doubles with every further one. */
  readonly backoffMs?: number;
  /** How long a worker that closes waits for handlers which it aborted. */
  readonly closeGraceMs?: number;
  /** How long a worker of another process may be silent before its jobs are taken for lost; it is checked twice as often. */
  readonly lockMs?: number;
  /** Told of attempts that fail and of a Redis that does not answer; none of it ends the queue. */
  readonly log?: Log;
}

/**
 * Three tries, 2 s and 4 s apart, outlast a store's hiccup; 5 s is half of what `docker stop` allows; a lock of 10 s is
 * renewed every 5 s on the main thread, which never works for long.
 */
export const QUEUE_DEFAULTS = {
  maxAttempts: 3,
  backoffMs: 2000,
  closeGraceMs: 5000,
  lockMs: 10_000,
  log: () => {},
} as const;

/** Calls `onExhausted`; that it fails must not stop the queue, since the reconciler will find the job again. */
export async function tellExhausted(options: WorkerOptions, job: Job, error: unknown, log: Log): Promise<void> {
  try {
    await options.onExhausted?.(job, error);
  } catch (failure) {
    log(`onExhausted of ${job.kind} ${job.namespace}/${job.id} failed`, failure);
  }
}
