/** One BullMQ worker: takes jobs from Redis, runs them with a handler, and hands them back when it is closed. */
import { DelayedError, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import { instanceOf, type QueuedJob, readJob } from './bull-job.js';
import type { Cancels } from './cancels.js';
import { type QueueOptions, tellExhausted } from './options.js';
import { workerConnection } from './redis.js';
import { createRunner } from './runner.js';
import { throttle } from './throttle.js';
import type { JobHandler, Progress, QueueWorker, WorkerOptions } from './types.js';

/** A job may lose three workers before it counts as the one that kills them. */
const MAX_STALLED_COUNT = 3;
/** Wait before a command that failed with its connection is tried again. */
const RUN_RETRY_MS = 1000;
/** Four times a second is what a person can follow. */
const PROGRESS_MS = 250;
/** How long BullMQ may take to close after its jobs have ended; it has no deadline of its own. */
const CLOSE_MS = 2000;

/**
 * While Redis is away `close` may wait for ever (a connection that is about to reconnect never says that it has ended),
 * and with it the timer that renews locks, which would keep the process alive.
 */
class AbandonableWorker extends Worker<unknown, void> {
  async abandon(): Promise<void> {
    await this.lockManager.close();
    await this.backend.close(true);
  }
}

export interface BullWorkerContext extends Required<Pick<QueueOptions, 'closeGraceMs' | 'lockMs' | 'log'>> {
  readonly url: string;
  readonly prefix: string;
  readonly name: string;
  readonly cancels: Cancels;
}

export function startBullWorker(
  { url, prefix, name, cancels, closeGraceMs, lockMs, log }: BullWorkerContext,
  handler: JobHandler,
  options: WorkerOptions,
): QueueWorker {
  const connection = workerConnection(url, log);
  const subscriber = workerConnection(url, log);
  const runner = createRunner(handler, closeGraceMs);
  const exhausted = new Set<Promise<void>>();
  cancels.listen(subscriber, connection, runner.running, runner.cancel);

  async function processJob(bullJob: QueuedJob, token: string | undefined): Promise<void> {
    const job = readJob(bullJob.data);
    if (!job) return log('A job with unreadable data was dropped', bullJob.id);
    const instance = instanceOf(bullJob);
    const progress = throttle<Progress>((value) => {
      bullJob.updateProgress(value).catch((error) => log('Progress was not sent', error));
    }, PROGRESS_MS);
    const attempt = runner.run(instance, job, progress.push);
    // A cancel that came before this process began to run the job was broadcast to nobody.
    cancels.wasAnnounced(connection, instance).then(
      (announced) => announced && runner.cancel(instance),
      (error) => log('Could not look for a cancel', error),
    );
    const outcome = await attempt;
    progress.stop();
    if (outcome.kind === 'shutdown') {
      await bullJob.moveToWait(token);
      throw new WaitingError();
    }
    if (outcome.kind === 'later') {
      await bullJob.moveToDelayed(outcome.at, token);
      throw new DelayedError();
    }
    if (outcome.kind === 'failed') {
      log(`An attempt at ${job.kind} ${job.namespace}/${job.id} failed`, outcome.error);
      const last = bullJob.attemptsMade + 1 >= (bullJob.opts.attempts ?? 1);
      if (last) await tellExhausted(options, job, outcome.error, log);
      // Wrapped: some error classes are commands to BullMQ.
      throw new Error('The handler rejected', { cause: outcome.error });
    }
  }

  const worker = new AbandonableWorker(name, processJob, {
    connection,
    prefix,
    concurrency: options.concurrency ?? 1,
    runRetryDelay: RUN_RETRY_MS,
    // The lock is renewed at its half, and a dead worker noticed at the second check after its end: with the defaults
    // after 7 to 15 s.
    lockDuration: lockMs,
    stalledInterval: lockMs / 4,
    maxStalledCount: MAX_STALLED_COUNT,
  });
  worker.on('error', (error) => log('Queue worker', error));
  worker.on('failed', (bullJob, error) => {
    // Only BullMQ itself throws this one here: the job has lost too many workers.
    const job = error instanceof UnrecoverableError && readJob(bullJob?.data);
    if (!job) return;
    const told: Promise<void> = tellExhausted(options, job, error, log).then(() => void exhausted.delete(told));
    exhausted.add(told);
  });

  async function close(): Promise<void> {
    // From here on the worker takes no job; it ends when those that run have been handed back.
    const closed = worker.close();
    await runner.stop();
    if (!(await endsWithin(closed, CLOSE_MS))) await worker.abandon();
    connection.disconnect();
    subscriber.disconnect();
    await Promise.all(exhausted);
  }

  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function endsWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}
