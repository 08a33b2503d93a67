/** What both queues share: how one attempt of a job runs, is aborted, and is waited for. */
import { type CancelReason, type Job, type JobHandler, type Progress, TryLater } from './types.js';

/** How an attempt ended. `failed` is the only end that counts as a failed try; `later` is of its own accord. */
export type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: CancelReason }
  | { readonly kind: 'later'; readonly at: number }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface Runner {
  run(key: string, job: Job, progress: (progress: Progress) => void): Promise<Outcome>;
  /** Aborts the attempts under this key with reason `cancelled`. */
  cancel(key: string): void;
  /** The keys of the attempts that run now. */
  running(): string[];
  /** Aborts every attempt with reason `shutdown` and waits for it, at most the grace time. Later `run`s do not start. */
  stop(): Promise<void>;
}

interface Attempt {
  readonly key: string;
  readonly controller: AbortController;
  readonly ended: Promise<Outcome>;
  readonly abandon: () => void;
}

/** Unique for a job, without `:`, and never all digits, as BullMQ asks of its ids. */
export function jobKey({ kind, namespace, id, opening }: Job): string {
  const again = opening ? `/${opening}` : '';
  return `${kind}/${encodeURIComponent(namespace)}/${encodeURIComponent(id)}${again}`;
}

/**
 * @param graceMs how long `stop` waits for handlers that were aborted; after that they are left to themselves and their
 * jobs handed back, which is safe because a job may run twice at the same time.
 */
export function createRunner(handler: JobHandler, graceMs: number): Runner {
  const attempts = new Set<Attempt>();
  let stopped = false;

  function begin(key: string, job: Job, progress: (progress: Progress) => void): Attempt {
    const controller = new AbortController();
    const { signal } = controller;
    const handled = Promise.resolve()
      .then(() => handler(job, { signal, progress }))
      .then(
        (): Outcome => ({ kind: 'done' }),
        (error: unknown): Outcome => {
          if (signal.aborted) return { kind: signal.reason as CancelReason };
          return error instanceof TryLater ? { kind: 'later', at: error.at } : { kind: 'failed', error };
        },
      );
    let abandon = () => {};
    const abandoned = new Promise<Outcome>((resolve) => {
      abandon = () => resolve({ kind: signal.reason as CancelReason });
    });
    return { key, controller, ended: Promise.race([handled, abandoned]), abandon };
  }

  return {
    async run(key, job, progress) {
      if (stopped) return { kind: 'shutdown' };
      const attempt = begin(key, job, progress);
      attempts.add(attempt);
      try {
        return await attempt.ended;
      } finally {
        attempts.delete(attempt);
      }
    },

    cancel(key) {
      for (const attempt of attempts) {
        if (attempt.key === key) attempt.controller.abort('cancelled' satisfies CancelReason);
      }
    },

    running() {
      return [...attempts].map((attempt) => attempt.key);
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
