import type { Logger } from 'pino';
import type { Job, JobHandler, QueueWorker } from './queue/types.js';
import type { Services } from './services.js';

/** What a worker knows of each kind of work: who runs it, and where its end is written. */
interface Work {
  readonly run: JobHandler;
  readonly runs: Pick<Services['jobs'] | Services['merges'], 'outcome' | 'fail'>;
}

/** Takes merges and jobs from the queue and runs them, one at a time: a merge uses all cores itself. */
export function startWorker(services: Services, logger: Logger): Promise<QueueWorker> {
  const { queue, merges, jobs, runMerge, runJob, followUp } = services;
  const work: Record<Job['kind'], Work> = {
    merge: { run: runMerge, runs: merges },
    job: { run: runJob, runs: jobs },
  };
  return queue.work(
    async (job, context) => {
      const { kind, namespace, id } = job;
      const log = logger.child({ [kind]: id });
      log.info(`${kind} started`);
      try {
        await work[kind].run(job, context);
        // What could not be queued now is found by the API's reconciler.
        if (kind === 'merge')
          await followUp
            .follow(namespace, id)
            .catch((err: unknown) => log.warn({ err }, 'evaluations are not queued yet'));
        const outcome = await work[kind].runs.outcome(namespace, id);
        const code = outcome.state === 'failed' ? { code: outcome.error.code } : {};
        log.info({ state: outcome.state, ...code }, `${kind} ended`);
      } catch (err) {
        log.warn({ err }, `${kind} attempt failed; it will be tried again`);
        throw err;
      }
    },
    {
      concurrency: 1,
      onExhausted: async ({ kind, namespace, id }, error) => {
        logger.error({ err: error, [kind]: id }, `${kind} failed for good`);
        await work[kind].runs.fail(namespace, id, error);
      },
    },
  );
}
