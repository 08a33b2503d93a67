import type { Logger } from 'pino';
import type { JobHandler, QueueWorker, RunKind } from './queue/types.js';
import type { Services } from './services.js';

/** What a worker knows of each kind of work: who runs it, and where its end is written. */
interface Work {
  readonly run: JobHandler;
  readonly runs: Pick<Services['jobs'] | Services['merges'], 'outcome' | 'fail'>;
}

/** Receivers that are told at the same time: each call mostly waits, and a slow one is to hold up few others. */
const WEBHOOKS_AT_ONCE = 8;

/** Takes merges, jobs and webhooks from their queues. */
export async function startWorker(services: Services, logger: Logger): Promise<QueueWorker> {
  const workers = [await startRuns(services, logger), await startWebhooks(services, logger)];
  return { close: async () => void (await Promise.all(workers.map((worker) => worker?.close()))) };
}

/** Only where they can be signed: in another process of the same Redis they may be. */
async function startWebhooks(services: Services, logger: Logger): Promise<QueueWorker | undefined> {
  const { config, webhookQueue, runWebhook } = services;
  if (config.webhooks.secrets.length === 0) return undefined;
  return webhookQueue.work(runWebhook, {
    concurrency: WEBHOOKS_AT_ONCE,
    onExhausted: async ({ id }, err) => logger.error({ err, webhook: id }, 'a webhook waits for the reconciler'),
  });
}

/** Merges and jobs, one at a time: a merge uses all cores itself. */
function startRuns(services: Services, logger: Logger): Promise<QueueWorker> {
  const { queue, merges, jobs, runMerge, runJob, followUp, webhooks } = services;
  const tell = (namespace: string, merge: string) =>
    webhooks
      .follow(namespace, merge)
      .catch((err: unknown) => logger.warn({ err, merge }, 'webhooks are not queued yet'));
  const work: Record<RunKind, Work> = {
    merge: { run: runMerge, runs: merges },
    job: { run: runJob, runs: jobs },
  };
  return queue.work(
    async (job, context) => {
      const { namespace, id } = job;
      const kind = job.kind as RunKind; // nothing else is put into this queue
      const log = logger.child({ [kind]: id });
      log.info(`${kind} started`);
      try {
        await work[kind].run(job, context);
        // What could not be queued now is found by the API's reconciler.
        if (kind === 'merge')
          await followUp
            .follow(namespace, id)
            .catch((err: unknown) => log.warn({ err }, 'evaluations are not queued yet'));
        if (kind === 'merge') await tell(namespace, id);
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
      onExhausted: async ({ kind, namespace, id, opening }, error) => {
        logger.error({ err: error, [kind]: id }, `${kind} failed for good`);
        await work[kind as RunKind].runs.fail(namespace, id, error, opening);
        if (kind === 'merge') await tell(namespace, id);
      },
    },
  );
}
