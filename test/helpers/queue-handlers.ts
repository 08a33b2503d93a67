import type { Job, JobContext, JobHandler } from '../../src/queue/types.js';

/** Jobs that a handler was called with, in order, and the contexts they ran under. */
export interface Recorder {
  readonly jobs: Job[];
  readonly ids: () => string[];
  readonly contexts: JobContext[];
  readonly handler: JobHandler;
}

/** A handler that notes its calls and then does `then`, or is done. */
export function recorder(then: JobHandler = async () => {}): Recorder {
  const jobs: Job[] = [];
  const contexts: JobContext[] = [];
  return {
    jobs,
    contexts,
    ids: () => jobs.map((job) => job.id),
    async handler(job, context) {
      jobs.push(job);
      contexts.push(context);
      await then(job, context);
    },
  };
}

/** Rejects when the signal aborts, as a well-behaved handler does. */
export function untilAborted(_job: Job, { signal }: JobContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

/** A promise to be resolved from outside. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}
