/** The queue of many processes: BullMQ on Redis. It holds ids only; a flushed Redis loses nothing (see the reconciler). */
import { type JobType, Queue } from 'bullmq';
import { EmrError } from '../errors.js';
import { instanceOf, QUEUE_NAME, type QueuedJob, readJob, readProgress } from './bull-job.js';
import { startBullWorker } from './bull-worker.js';
import { createCancels } from './cancels.js';
import { QUEUE_DEFAULTS, type QueueOptions } from './options.js';
import { producerConnection, withoutRepeats } from './redis.js';
import { jobKey } from './runner.js';
import type { Job, QueueWorker, WorkQueue } from './types.js';

export interface BullQueueOptions extends QueueOptions {
  /** `redis://[user:password@]host:port[/db]`, or `rediss:` for TLS. */
  readonly url: string;
  /** Before every key; services that share a Redis need different ones. */
  readonly prefix?: string;
  /** Of the queue, below the prefix; queues of different names know nothing of each other. */
  readonly name?: string;
}

const WAITING: readonly string[] = ['waiting', 'delayed', 'prioritized'];

export function createBullQueue(options: BullQueueOptions): WorkQueue {
  const { url, prefix, name, maxAttempts, backoffMs, closeGraceMs, lockMs, ...rest } = {
    ...QUEUE_DEFAULTS,
    prefix: 'emr',
    name: QUEUE_NAME,
    ...options,
  };
  const log = withoutRepeats(rest.log);
  const connection = producerConnection(url, log);
  const cancels = createCancels(prefix, (error) => log('Cancel channel', error));
  const workers = new Set<QueueWorker>();
  // Without `skipVersionCheck` a Queue that is made while Redis is away rejects for good, also when Redis is back.
  const queue = new Queue<unknown, void>(name, {
    connection,
    prefix,
    skipWaitingForReady: true,
    skipVersionCheck: true,
    defaultJobOptions: {
      attempts: maxAttempts,
      backoff: { type: 'exponential', delay: backoffMs },
      // Outcomes are facts in the store, and a job that is done must be addable again.
      removeOnComplete: true,
      removeOnFail: true,
    },
  });
  queue.on('error', (error) => log('Queue', error));

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (cause) {
      if (cause instanceof EmrError) throw cause;
      throw new EmrError('queue_unavailable', 'Redis does not answer as it should; try again later.', {}, { cause });
    }
  }

  const find = (job: Job): Promise<QueuedJob | undefined> => queue.getJob(jobKey(job));

  /** BullMQ counts by state alone; what waits is ids, of which even thousands are read at once. */
  const countOf = async (namespace: string) => {
    const count = async (...states: JobType[]) =>
      (await queue.getJobs(states)).filter((found) => readJob(found?.data)?.namespace === namespace).length;
    return { waiting: await count('wait', 'delayed', 'prioritized'), active: await count('active') };
  };

  return {
    enqueue: (job) =>
      ask(async () => {
        const { kind, namespace, id, opening } = job;
        await queue.add(kind, { kind, namespace, id, ...(opening ? { opening } : {}) }, { jobId: jobKey(job) });
      }),

    status: (job) =>
      ask(async () => {
        // In one trip: whoever asks for the status of a merge waits for it.
        const [found, state] = await Promise.all([find(job), queue.getJobState(jobKey(job))]);
        if (!found || (state !== 'active' && !WAITING.includes(state))) return undefined;
        const progress = readProgress(found.progress);
        return {
          state: state === 'active' ? 'active' : 'waiting',
          attempts: found.attemptsStarted,
          ...(progress && { progress }),
        };
      }),

    cancel: (job) =>
      ask(async () => {
        const found = await find(job);
        if (!found) return 'absent';
        const state = await found.getState();
        // 0: a worker has taken it since.
        if (WAITING.includes(state) && (await queue.remove(found.id!)) === 1) return 'removed';
        if (state !== 'active' && !WAITING.includes(state)) return 'absent';
        await cancels.announce(connection, instanceOf(found));
        return 'signalled';
      }),

    async work(handler, workerOptions = {}) {
      const worker = startBullWorker({ url, prefix, name, cancels, closeGraceMs, lockMs, log }, handler, workerOptions);
      const tracked: QueueWorker = {
        async close() {
          workers.delete(tracked);
          await worker.close();
        },
      };
      workers.add(tracked);
      return tracked;
    },

    check: () =>
      ask(async () => {
        await connection.ping();
      }),

    counts: (namespace) =>
      ask(async () => {
        if (namespace !== undefined) return countOf(namespace);
        const { active = 0, ...waiting } = await queue.getJobCounts('active', 'wait', 'delayed', 'prioritized');
        return { waiting: Object.values(waiting).reduce((sum, n) => sum + n, 0), active };
      }),

    async close() {
      await Promise.all([...workers].map((worker) => worker.close()));
      await queue.close();
      connection.disconnect();
    },
  };
}
