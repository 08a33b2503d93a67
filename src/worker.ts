import type { Logger } from 'pino';
import type { QueueWorker } from './queue/types.js';
import type { Services } from './services.js';

/** Takes merges from the queue and runs them, one at a time: a merge uses all cores itself. */
export function startMergeWorker({ queue, merges, runMerge }: Services, logger: Logger): Promise<QueueWorker> {
  return queue.work(
    async (job, context) => {
      const log = logger.child({ merge: job.id });
      log.info('merge started');
      try {
        await runMerge(job, context);
        log.info({ state: (await merges.outcome(job.namespace, job.id)).state }, 'merge ended');
      } catch (err) {
        log.warn({ err }, 'merge attempt failed; it will be tried again');
        throw err;
      }
    },
    {
      concurrency: 1,
      onExhausted: async (job, error) => {
        logger.error({ err: error, merge: job.id }, 'merge failed for good');
        await merges.fail(job.namespace, job.id, error);
      },
    },
  );
}
