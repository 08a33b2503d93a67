/** The queue of the embedded mode: in this process, gone with it. The store stays the truth, so nothing is lost. */
import { EmrError } from '../errors.js';
import { QUEUE_DEFAULTS, type QueueOptions, tellExhausted } from './options.js';
import { createRunner, jobKey, type Outcome, type Runner } from './runner.js';
import type { Job, Progress, QueueWorker, WorkerOptions, WorkQueue } from './types.js';

interface Entry {
  readonly job: Job;
  starts: number;
  failures: number;
  cancelled: boolean;
  /** Set while a worker has the job. */
  runner?: Runner | undefined;
  progress?: Progress | undefined;
  /** Set while the job waits for its next try. */
  timer?: NodeJS.Timeout | undefined;
}

interface LocalWorker {
  readonly runner: Runner;
  readonly options: WorkerOptions;
  readonly running: Set<Promise<void>>;
}

export function createLocalQueue(options: QueueOptions = {}): WorkQueue {
  const { maxAttempts, backoffMs, closeGraceMs, log } = { ...QUEUE_DEFAULTS, ...options };
  const entries = new Map<string, Entry>();
  /** A set keeps the order of insertion and removes from the middle at once. */
  const ready = new Set<Entry>();
  const workers = new Set<LocalWorker>();
  let closed = false;

  function dispatch(): void {
    for (const worker of workers) {
      for (const entry of ready) {
        if (worker.running.size >= (worker.options.concurrency ?? 1)) break;
        ready.delete(entry);
        const running = attempt(worker, entry).then(() => {
          worker.running.delete(running);
          dispatch();
        });
        worker.running.add(running);
      }
    }
  }

  async function attempt(worker: LocalWorker, entry: Entry): Promise<void> {
    entry.starts += 1;
    entry.runner = worker.runner;
    entry.progress = undefined;
    const outcome = await worker.runner.run(jobKey(entry.job), entry.job, (progress) => {
      if (entry.runner === worker.runner) entry.progress = progress;
    });
    await settle(worker, entry, outcome);
  }

  async function settle(worker: LocalWorker, entry: Entry, outcome: Outcome): Promise<void> {
    if (outcome.kind === 'shutdown' && !entry.cancelled) {
      entry.runner = undefined;
      ready.add(entry);
      return;
    }
    if (outcome.kind === 'later' && !entry.cancelled) {
      entry.runner = undefined;
      retryAfter(entry, Math.max(0, outcome.at - Date.now()));
      return;
    }
    if (outcome.kind === 'failed' && !entry.cancelled) {
      log(`An attempt at ${entry.job.kind} ${entry.job.namespace}/${entry.job.id} failed`, outcome.error);
      entry.failures += 1;
      if (entry.failures < maxAttempts) {
        entry.runner = undefined;
        retryAfter(entry, backoffMs * 2 ** (entry.failures - 1));
        return;
      }
      await tellExhausted(worker.options, entry.job, outcome.error, log);
    }
    entries.delete(jobKey(entry.job));
  }

  function retryAfter(entry: Entry, ms: number): void {
    if (closed) return;
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      ready.add(entry);
      dispatch();
    }, ms);
  }

  async function stop(worker: LocalWorker): Promise<void> {
    workers.delete(worker);
    await worker.runner.stop();
    await Promise.all(worker.running);
  }

  function assertOpen(): void {
    if (closed) throw new EmrError('queue_unavailable', 'The queue was closed because the server is stopping.');
  }

  return {
    async enqueue(job) {
      assertOpen();
      if (entries.has(jobKey(job))) return;
      const entry: Entry = { job, starts: 0, failures: 0, cancelled: false };
      entries.set(jobKey(job), entry);
      ready.add(entry);
      dispatch();
    },

    async status(job) {
      const entry = entries.get(jobKey(job));
      if (!entry) return undefined;
      return {
        state: entry.runner ? 'active' : 'waiting',
        attempts: entry.starts,
        ...(entry.progress && { progress: entry.progress }),
      };
    },

    async cancel(job) {
      const key = jobKey(job);
      const entry = entries.get(key);
      if (!entry) return 'absent';
      if (entry.runner) {
        entry.cancelled = true;
        entry.runner.cancel(key);
        return 'signalled';
      }
      clearTimeout(entry.timer);
      ready.delete(entry);
      entries.delete(key);
      return 'removed';
    },

    async work(handler, workerOptions = {}): Promise<QueueWorker> {
      assertOpen();
      const worker = {
        runner: createRunner(handler, closeGraceMs),
        options: workerOptions,
        running: new Set<Promise<void>>(),
      };
      workers.add(worker);
      dispatch();
      return { close: () => stop(worker) };
    },

    async check() {
      assertOpen();
    },

    async counts(namespace) {
      const counted = [...entries.values()].filter(({ job }) => namespace === undefined || job.namespace === namespace);
      const active = counted.filter((entry) => entry.runner).length;
      return { waiting: counted.length - active, active };
    },

    async close() {
      closed = true;
      await Promise.all([...workers].map(stop));
      for (const entry of entries.values()) clearTimeout(entry.timer);
      entries.clear();
      ready.clear();
    },
  };
}
