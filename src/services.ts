import { availableParallelism } from 'node:os';
import { type Batches, createBatches } from './catalog/batches.js';
import { type CheckpointCatalog, createCheckpointCatalog } from './catalog/checkpoints.js';
import { createIngest } from './catalog/ingest.js';
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
import type { JobHandler, MergeQueue } from './queue/types.js';
import { openStore } from './store/open.js';
import type { Store } from './store/types.js';

/** Everything below HTTP, put together once; routes and workers get it as an argument. */
export interface Services {
  readonly config: Config;
  readonly store: Store;
  readonly queue: MergeQueue;
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
  close(): Promise<void>;
}

export interface ServiceLog {
  warn(details: object, message: string): void;
}

export async function createServices(config: Config, log: ServiceLog): Promise<Services> {
  const now = Date.now;
  const store = await openStore(config.store);
  const queue = await openQueue(config, log);
  const sources = createSources(store);
  const checkpoints = createCheckpointCatalog(store);
  const ingest = createIngest({ store, sources, checkpoints, now });
  const merges = createMergeCatalog(store, now);
  const onQueueError = (err: unknown) => log.warn({ err }, 'a merge is accepted but not queued yet');
  const submitter = createSubmitter({ checkpoints, merges, queue, onQueueError });
  const reconstructor = createReconstructor(store.config, config.threads ?? availableParallelism());
  const tileThreads = createTileThreads(config.store);
  return {
    config,
    store,
    queue,
    sources,
    tileThreads,
    checkpoints,
    uploads: createUploads({ store, ingest, maxBytes: config.maxUploadBytes, now }),
    register: createRegister({ store, ingest, fileRoots: config.fileRoots }),
    merges,
    submitter,
    lifecycle: createLifecycle(merges, queue),
    reconstructor,
    models: createModels({ store, checkpoints, merges, reconstructor }),
    batches: createBatches(store, submitter, now),
    runMerge: createMergeHandler({ store, sources, checkpoints, merges, tileThreads, threads: config.threads, now }),
    async close() {
      await reconstructor.close();
      await tileThreads.close();
      await queue.close();
      await store.close();
    },
  };
}

async function openQueue({ redisUrl }: Config, log: ServiceLog): Promise<MergeQueue> {
  if (redisUrl === undefined) return (await import('./queue/local.js')).createLocalQueue();
  const { createBullQueue } = await import('./queue/bullmq.js');
  return createBullQueue({ url: redisUrl, log: (message, err) => log.warn({ err }, message) });
}
