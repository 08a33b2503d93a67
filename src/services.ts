import { availableParallelism } from 'node:os';
import { type ApiKeys, createApiKeys } from './catalog/api-keys.js';
import { type Batches, createBatches } from './catalog/batches.js';
import { type CheckpointCatalog, createCheckpointCatalog } from './catalog/checkpoints.js';
import { createEvaluations, type Evaluations } from './catalog/evaluations.js';
import { createIngest } from './catalog/ingest.js';
import { createJobCatalog, type JobCatalog } from './catalog/jobs.js';
import { createMergeCatalog, type MergeCatalog } from './catalog/merges.js';
import { createRegister, type Register } from './catalog/register.js';
import { createSources, type Sources } from './catalog/sources.js';
import { createUploads, type Uploads } from './catalog/uploads.js';
import type { Config } from './config.js';
import { createMergeHandler } from './merge/execute.js';
import { createLifecycle, type Lifecycle } from './merge/lifecycle.js';
import { createModels, type Models } from './merge/models.js';
import { createReconstructor, type Reconstructor } from './merge/reconstruct.js';
import { createSubmitter, type Submitter } from './merge/submit.js';
import { createTileThreads, type TileThreads } from './merge/tile-threads.js';
import { createJobHandler } from './models/execute.js';
import { createFollowUp, type FollowUp } from './models/follow-up.js';
import { createInputs } from './models/inputs.js';
import { createJobSubmitter, type JobSubmitter } from './models/submit.js';
import { createOutbound } from './outbound/outbound.js';
import { QUEUE_DEFAULTS } from './queue/options.js';
import type { JobHandler, WorkQueue } from './queue/types.js';
import { openStore } from './store/open.js';
import type { Store } from './store/types.js';
import { createWebhookHandler } from './webhooks/deliver.js';
import { createWebhookRecords } from './webhooks/records.js';
import { createWebhooks, type Webhooks } from './webhooks/webhooks.js';

/** Everything below HTTP, put together once; routes and workers get it as an argument. */
export interface Services {
  readonly config: Config;
  readonly store: Store;
  readonly queue: WorkQueue;
  readonly apiKeys: ApiKeys;
  readonly sources: Sources;
  readonly tileThreads: TileThreads;
  readonly checkpoints: CheckpointCatalog;
  readonly uploads: Uploads;
  readonly register: Register;
  readonly merges: MergeCatalog;
  readonly submitter: Submitter;
  readonly lifecycle: Lifecycle;
  readonly reconstructor: Reconstructor;
  readonly models: Models;
  readonly batches: Batches;
  readonly runMerge: JobHandler;
  readonly jobs: JobCatalog;
  readonly jobSubmitter: JobSubmitter;
  readonly jobLifecycle: Lifecycle;
  readonly runJob: JobHandler;
  readonly evaluations: Evaluations;
  readonly followUp: FollowUp;
  readonly webhooks: Webhooks;
  /** Beside the queue of merges, which may be busy for hours. */
  readonly webhookQueue: WorkQueue;
  readonly runWebhook: JobHandler;
  close(): Promise<void>;
}

export interface ServiceLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export async function createServices(config: Config, log: ServiceLog): Promise<Services> {
  for (const setting of config.unknownSettings) log.warn({ setting }, 'a variable of the environment is no setting');
  const now = Date.now;
  const { maxTasks, maxPlanCells, maxBatchCells } = config;
  const store = await openStore(config.store);
  const queue = await openQueue(config, log);
  const sources = createSources(store);
  const checkpoints = createCheckpointCatalog(store);
  const ingest = createIngest({ store, sources, checkpoints, limits: config.limits, now });
  const merges = createMergeCatalog(store, now);
  const onQueueError = (err: unknown) => log.warn({ err }, 'a merge or job is accepted but not queued yet');
  const submitter = createSubmitter({
    checkpoints,
    merges,
    queue,
    maxTasks,
    maxPlanCells,
    maxBatchCells,
    onQueueError,
  });
  const reconstructor = createReconstructor(store.config, config.threads ?? availableParallelism());
  const tileThreads = createTileThreads(store.config);
  const models = createModels({ store, checkpoints, merges, reconstructor });
  const uploads = createUploads({ store, ingest, checkpoints, maxBytes: config.maxUploadBytes, now });
  const jobs = createJobCatalog(store, now);
  const evaluations = createEvaluations(store);
  const inputs = createInputs({ sources, checkpoints, merges, downloads: models });
  const jobSubmitter = createJobSubmitter({
    jobs,
    inputs,
    checkpoints,
    merges,
    evaluations,
    queue,
    maxTasks,
    maxPlanCells,
    now,
    onQueueError,
  });
  const onRefusal = (err: unknown, merge: string, asked: object) =>
    log.warn({ err, merge, ...asked }, 'an evaluation that was asked for cannot be run');
  const outbound = createOutbound(config.outbound);
  const webhookQueue = await openQueue(config, log, 'webhooks');
  const records = createWebhookRecords(store);
  const { secrets } = config.webhooks;
  const followUp = createFollowUp({ store, checkpoints, merges, jobs, inputs, jobSubmitter, onRefusal });
  return {
    config,
    store,
    queue,
    apiKeys: createApiKeys(store, now),
    sources,
    tileThreads,
    checkpoints,
    uploads,
    register: createRegister({ store, ingest, fileRoots: config.fileRoots }),
    merges,
    submitter,
    lifecycle: createLifecycle('merge', merges, queue),
    reconstructor,
    models,
    batches: createBatches({ store, submitter, merges, followUp, now }),
    runMerge: createMergeHandler({
      store,
      sources,
      checkpoints,
      merges,
      tileThreads,
      threads: config.threads,
      verify: config.verify,
      saveEveryMs: config.saveEveryMs,
      now,
    }),
    jobs,
    jobSubmitter,
    jobLifecycle: createLifecycle('job', jobs, queue),
    runJob: createJobHandler({ jobs, inputs, checkpoints, uploads, merges, evaluations, now }),
    evaluations,
    followUp,
    webhooks: createWebhooks({
      records,
      merges,
      queue: webhookQueue,
      outbound,
      enabled: secrets.length > 0,
      now,
      onQueueError: (err) => log.warn({ err }, 'a webhook is written down but not queued yet'),
    }),
    webhookQueue,
    runWebhook: createWebhookHandler({
      records,
      merges,
      outbound,
      ...config.webhooks,
      now,
      onAttempt: (merge, { state, status, error }) =>
        log.info({ merge, state, status, error }, 'a receiver was told of the end of a merge'),
    }),
    async close() {
      await reconstructor.close();
      await tileThreads.close();
      await queue.close();
      await webhookQueue.close();
      await store.close();
    },
  };
}

async function openQueue({ redisUrl, graceMs, lockMs }: Config, log: ServiceLog, name?: string): Promise<WorkQueue> {
  // Half of the grace is left for what comes after the handlers: connections, threads.
  const closeGraceMs = Math.min(QUEUE_DEFAULTS.closeGraceMs, graceMs / 2);
  if (redisUrl === undefined) return (await import('./queue/local.js')).createLocalQueue({ closeGraceMs });
  const { createBullQueue } = await import('./queue/bullmq.js');
  return createBullQueue({
    url: redisUrl,
    ...(name === undefined ? {} : { name }),
    closeGraceMs,
    lockMs,
    log: (message, err) => log.warn({ err }, message),
  });
}
