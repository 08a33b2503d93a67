/** What both queues share: how one attempt of a job runs, is aborted, and is waited for. */
import type { CancelReason, Job, JobHandler, Progress } from './types.js';

/** How an attempt ended. `failed` is the only end that counts as a failed try. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: CancelReason }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface Runner {
  run(job: Job, progress: (progress: Progress) => void, tag?: string): Promise<Outcome>;
  /** Aborts the attempts of this job (with `tag`, only those) with reason `cancelled`; whether there was any. */
  cancel(key: string, tag?: string): boolean;
  /** Aborts every attempt with reason `shutdown` and waits for it, at most the grace time. Later `run`s do not start. */
  stop(): Promise<void>;
}

interface Attempt {
  readonly key: string;
  readonly tag: string | undefined;
  readonly controller: AbortController;
  readonly ended: Promise<Outcome>;
  readonly abandon: () => void;
}

/** Unique for a job, without `:`, and never all digits, as BullMQ asks of its ids. */
export function jobKey(job: Job): string {
  return `${encodeURIComponent(job.namespace)}/${encodeURIComponent(job.id)}`;
}

/**
 * @param graceMs how long `stop` waits for handlers that were aborted; after that they are left to themselves and their
 * jobs handed back, which is safe because a job may run twice at the same time.
 */
export function createRunner(handler: JobHandler, graceMs: number): Runner {
  const attempts = new Set<Attempt>();
  let stopped = false;

  function begin(job: Job, progress: (progress: Progress) => void, tag: string | undefined): Attempt {
    const controller = new AbortController();
    const { signal } = controller;
    const handled = Promise.resolve()
      .then(() => handler(job, { signal, progress }))
      .then(
        (): Outcome => ({ kind: 'done' }),
        (error: unknown): Outcome =>
          signal.aborted ? { kind: signal.reason as CancelReason } : { kind: 'failed', error },
      );
    let abandon = () => {};
    const abandoned = new Promise<Outcome>((resolve) => {
      abandon = () => resolve({ kind: signal.reason as CancelReason });
    });
    return { key: jobKey(job), tag, controller, ended: Promise.race([handled, abandoned]), abandon };
  }

  return {
    async run(job, progress, tag) {
      if (stopped) return { kind: 'shutdown' };
      const attempt = begin(job, progress, tag);
      attempts.add(attempt);
      try {
        return await attempt.ended;
      } finally {
        attempts.delete(attempt);
      }
    },

    cancel(key, tag) {
      const found = [...attempts].filter((a) => a.key === key && (tag === undefined || a.tag === tag));
      for (const attempt of found) attempt.controller.abort('cancelled' satisfies CancelReason);
      return found.length > 0;
    },

    async stop() {
      stopped = true;
      const running = [...attempts];
      for (const attempt of running) attempt.controller.abort('shutdown' satisfies CancelReason);
      const timer = setTimeout(() => {
        for (const attempt of running) attempt.abandon();
      }, graceMs);
      await Promise.all(running.map((attempt) => attempt.ended));
      clearTimeout(timer);
    },
  };
}
