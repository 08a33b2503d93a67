/**
 * The queue holds ids, never payloads: what a merge or a job is lies in the store. Two implementations: `local.ts` (in this
 * process) and `bullmq.ts` (Redis); both pass test/conformance/queue.ts. Delivery is at least once: a job may run
 * twice, also at the same time, and its handler must bear that.
 */
/** What is run, which says where its facts lie and who handles it. */
export const JOB_KINDS = ['merge', 'job', 'webhook'] as const;

/** Those that are accepted, wait, run and end with a fact; a webhook follows the end of another. */
export type RunKind = Exclude<Job['kind'], 'webhook'>;

export interface Job {
  readonly kind: (typeof JOB_KINDS)[number];
  readonly namespace: string;
  readonly id: string;
  /** Of the run, as its outcome has it; none: the first. Each is a job of its own. */
  readonly opening?: number | undefined;
}

export interface Progress {
  readonly phase: string;
  readonly bytes_done: number;
  readonly bytes_total: number;
  readonly bytes_per_second: number;
}

export interface JobStatus {
  readonly state: 'waiting' | 'active';
  readonly progress?: Progress;
  /** How often a worker has started it. */
  readonly attempts: number;
}

export interface JobContext {
  /** Aborted when the job is cancelled or the worker is told to stop; `signal.reason` is {@link CancelReason}. */
  readonly signal: AbortSignal;
  /** May be called often; implementations send on at most a few times a second. */
  progress(progress: Progress): void;
}

export type CancelReason = 'cancelled' | 'shutdown';

/** What a handler throws that is to be called again at a time of its own, in milliseconds; it counts as no failed try. */
export class TryLater extends Error {
  override readonly name = 'TryLater';

  constructor(readonly at: number) {
    super(`to be tried again at ${new Date(at).toISOString()}`);
  }
}

/**
 * Resolves when the job is done, whatever its outcome (the outcome is a fact in the store). Rejects only when it should
 * be tried again; after `maxAttempts` starts the job is dropped, and `onExhausted` says so. See {@link TryLater}.
 */
export type JobHandler = (job: Job, context: JobContext) => Promise<void>;

export interface WorkerOptions {
  readonly concurrency?: number;
  /** The last try of a job rejected, with this error: write down that it failed. */
  readonly onExhausted?: (job: Job, error: unknown) => Promise<void>;
}

export interface QueueWorker {
  /** Takes no new job; jobs that run are aborted with reason `shutdown` and handed back to the queue. */
  close(): Promise<void>;
}

export interface WorkQueue {
  /** Adds the job unless it is waiting or active. Rejects soon with `queue_unavailable`, never hangs. */
  enqueue(job: Job): Promise<void>;
  /** undefined: the queue does not know it, or is done with it. */
  status(job: Job): Promise<JobStatus | undefined>;
  /**
   * Removes a waiting job, or tells whoever runs it to stop. `removed`: it will not run. `signalled`: its handler's
   * signal will abort soon, in whichever process it runs. `absent`: the queue does not know it.
   */
  cancel(job: Job): Promise<'removed' | 'signalled' | 'absent'>;
  work(handler: JobHandler, options?: WorkerOptions): Promise<QueueWorker>;
  /** Throws `queue_unavailable` if the queue cannot be used now. */
  check(): Promise<void>;
  /** Jobs waiting and active, of one namespace if it is named. */
  counts(namespace?: string): Promise<{ waiting: number; active: number }>;
  close(): Promise<void>;
}
