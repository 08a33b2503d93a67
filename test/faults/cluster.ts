/** The service as it is deployed: an API, two workers, Redis and a store, each a process that can be killed and comes back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/types.js';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { privateRedis, type RedisServer } from '../helpers/redis.js';
import { type S3Server, s3Server } from '../helpers/s3-server.js';
import {
  type ApiProcess,
  type ServiceEnvironment,
  type ServiceProcess,
  startApi,
  startWorker,
} from '../helpers/service-process.js';
import { slowProxy } from '../helpers/slow-proxy.js';
import { type FaultProxy, faultProxy } from './fault-proxy.js';

export const STORE_KINDS = ['s3', 'file'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

/** Of everything that passes between the service and S3: a merge lasts long enough to be met by a fault. */
const S3_BYTES_PER_SECOND = 60_000_000;

export interface ClusterOptions {
  readonly kind: StoreKind;
  readonly lockSeconds: number;
}

export interface Cluster {
  readonly kind: StoreKind;
  readonly lockMs: number;
  /** To the API process that runs now. */
  readonly api: ApiClient;
  readonly apiProcess: ApiProcess;
  readonly workers: readonly ServiceProcess[];
  readonly redisUrl: string;
  /** The store, past whatever disturbs the service's own way to it. */
  readonly store: Store;
  /** The folder of a file store. */
  readonly folder: string;
  readonly s3: { readonly server: S3Server; readonly bucket: string; readonly proxy: FaultProxy } | undefined;
  killRedis(): Promise<void>;
  /** With what it held, or empty. */
  startRedis(keeps: 'data' | 'nothing'): Promise<void>;
  killApi(): Promise<void>;
  killWorker(index: number): Promise<void>;
  /** Starts again what was killed. */
  revive(): Promise<void>;
  close(): Promise<void>;
}

async function requireRedis(port?: number, folder?: string): Promise<RedisServer> {
  const server = await privateRedis({ ...(port ? { port } : {}), ...(folder ? { folder } : {}) });
  if ('skip' in server) throw new Error(server.skip);
  return server;
}

async function openS3(cleanUp: (() => Promise<unknown>)[]) {
  const server = await s3Server();
  if ('skip' in server) throw new Error(server.skip);
  cleanUp.push(server.stop);
  const bucket = await server.createBucket();
  cleanUp.push(bucket.remove);
  const slow = await slowProxy(server.endpoint);
  slow.rate = S3_BYTES_PER_SECOND;
  cleanUp.push(slow.close);
  const proxy = await faultProxy(slow.url);
  cleanUp.push(proxy.close);
  return { server, bucket: bucket.name, proxy };
}

export async function startCluster({ kind, lockSeconds }: ClusterOptions): Promise<Cluster> {
  const cleanUp: (() => Promise<unknown>)[] = [];
  const scratch = await mkdtemp(join(tmpdir(), 'emr-faults-'));
  cleanUp.push(() => rm(scratch, { recursive: true, force: true }));
  const folder = join(scratch, 'data');
  const s3 = kind === 's3' ? await openS3(cleanUp) : undefined;
  const direct = s3 && { bucket: s3.bucket, prefix: 'service', endpoint: s3.server.endpoint };
  const store = await openStore(direct ? { kind: 's3', ...direct } : { kind: 'file', root: folder });
  cleanUp.push(() => store.close());
  let redis = await requireRedis();
  const { port } = redis;
  await redis.stop();
  let redisFolder = await mkdtemp(join(scratch, 'redis-'));
  redis = await requireRedis(port, redisFolder);
  cleanUp.push(() => redis.stop());

  const env: ServiceEnvironment = {
    ...(s3 ? { ...s3.server.env, S3_ENDPOINT: s3.proxy.url, EMR_STORE: `s3://${s3.bucket}/service` } : {}),
    EMR_DATA_DIR: folder,
    REDIS_URL: redis.url,
    EMR_THREADS: '2',
    EMR_LOCK_SECONDS: String(lockSeconds),
    EMR_RECONCILE_SECONDS: '1',
    EMR_GRACE_SECONDS: '10',
    EMR_SAVE_SECONDS: '0', // as often as possible
    LOG_LEVEL: 'info',
  };
  const apiEnv = { ...env, LOG_LEVEL: 'warn' };
  let apiProcess = await startApi(apiEnv);
  cleanUp.push(() => apiProcess.stop('SIGKILL'));
  const workers = await Promise.all([startWorker(env), startWorker(env)]);
  cleanUp.push(() => Promise.all(workers.map((worker) => worker.stop('SIGKILL'))));
  let api = apiClient(apiProcess.url);
  let redisRuns = true;

  const cluster: Cluster = {
    kind,
    lockMs: 1000 * lockSeconds,
    get api() {
      return api;
    },
    get apiProcess() {
      return apiProcess;
    },
    workers,
    redisUrl: redis.url,
    store,
    folder,
    s3,
    async killRedis() {
      redisRuns = false;
      await redis.stop();
    },
    async startRedis(keeps) {
      if (keeps === 'nothing') redisFolder = await mkdtemp(join(scratch, 'redis-'));
      redis = await requireRedis(port, redisFolder);
      redisRuns = true;
    },
    async killApi() {
      await apiProcess.stop('SIGKILL');
    },
    async killWorker(index) {
      await workers[index]!.stop('SIGKILL');
    },
    async revive() {
      if (!redisRuns) await cluster.startRedis('data');
      if (!apiProcess.alive) {
        apiProcess = await startApi(apiEnv);
        api = apiClient(apiProcess.url);
      }
      for (const [index, worker] of workers.entries()) if (!worker.alive) workers[index] = await startWorker(env);
    },
    async close() {
      for (const undo of cleanUp.reverse()) await undo();
    },
  };
  return cluster;
}
