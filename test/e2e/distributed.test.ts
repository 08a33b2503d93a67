/** The whole main job with an API process, two worker processes, a real Redis and a real S3 server. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { Redis } from 'ioredis';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/types.js';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { privateRedis, type RedisServer } from '../helpers/redis.js';
import { type S3Server, s3Server, type TestBucket } from '../helpers/s3-server.js';
import { type ServiceEnvironment, type ServiceProcess, startApi, startWorker } from '../helpers/service-process.js';
import { type SlowProxy, slowProxy } from '../helpers/slow-proxy.js';
import { keys } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/**
 * 5.6 MB a checkpoint, in many tensors: at SLOW bytes a second a merge of four runs for seconds, most of them after its
 * first tensor, so that a test can meet it running.
 */
const TENSORS = [
  ...Array.from({ length: 10 }, (_, i) => ({ name: `wide.${i}`, shape: [200, 500], dtypes: ['F32'] as const })),
  { name: 'long', shape: [700_001], dtypes: ['BF16'] as const },
  { name: 'norm', shape: [99_999], dtypes: ['F16'] as const },
];
const TASKS = [1, 2, 3].map((t) => ({ name: `task-${t}`, checkpoint: `tuned-${t}` }));
const SLOW = 4_000_000;
/** A look at a merge is a few requests to Redis and S3. */
const POLL_MS = 50;
const CHECKPOINTS = randomCheckpoints(TENSORS, TASKS.length, 3).map((tensors, t) =>
  folderOf(tensors, { 'config.json': `{"task":${t}}` }),
);
const REQUESTS = [
  { method: { type: 'emr' } },
  { method: { type: 'emr', zero_sign: 'negative' } },
  { method: { type: 'emr' }, dtype: 'BF16' },
  { method: { type: 'emr' }, exclude: ['norm'] },
  { method: { type: 'average' } },
  { method: { type: 'task_arithmetic', lambda: 0.4 } },
].map((request) => ({ base: 'base', tasks: TASKS, ...request }));

interface Cluster {
  readonly s3: S3Server;
  readonly bucket: TestBucket;
  readonly redis: RedisServer;
  readonly proxies: SlowProxy[];
  readonly processes: Set<ServiceProcess>;
  readonly workers: ServiceProcess[];
  readonly store: Store;
  readonly api: ApiClient;
  readonly env: ServiceEnvironment;
}

let cluster: Cluster | undefined;
let missing: string | undefined;
const cleanUp: (() => Promise<unknown>)[] = [];
const folder = temporaryFolder('emr-distributed-');

before(async () => {
  const redis = await privateRedis();
  if ('skip' in redis) {
    missing = redis.skip;
    return;
  }
  cleanUp.push(redis.stop);
  const s3 = await s3Server();
  if ('skip' in s3) {
    missing = s3.skip;
    return;
  }
  cleanUp.push(s3.stop);
  const bucket = await s3.createBucket();
  cleanUp.push(bucket.remove);
  const env = { ...s3.env, EMR_STORE: `s3://${bucket.name}/service`, REDIS_URL: redis.url, EMR_THREADS: '2' };
  const processes = new Set<ServiceProcess>();
  cleanUp.push(() => Promise.all([...processes].map((one) => one.stop('SIGKILL'))));
  const proxies = await Promise.all([slowProxy(s3.endpoint), slowProxy(s3.endpoint)]);
  cleanUp.push(() => Promise.all(proxies.map((proxy) => proxy.close())));
  const [server, ...workers] = await Promise.all([
    startApi({ ...env, S3_ENDPOINT: s3.endpoint }),
    ...proxies.map((proxy) => startWorker({ ...env, S3_ENDPOINT: proxy.url })),
  ]);
  for (const one of [server!, ...workers]) processes.add(one);
  const store = await openStore({ kind: 's3', bucket: bucket.name, prefix: 'service', endpoint: s3.endpoint });
  cleanUp.push(() => store.close());
  const api = apiClient((server as Awaited<ReturnType<typeof startApi>>).url);
  await uploadAll(api);
  cluster = { s3, bucket, redis, proxies, processes, workers, store, api, env };
});

after(async () => {
  for (const undo of cleanUp.reverse()) await undo();
});

/** The base file by file, the fine-tunes as forms. */
async function uploadAll(api: ApiClient): Promise<void> {
  const [base, ...tuned] = CHECKPOINTS;
  await api.put('base', base!);
  for (const [t, files] of tuned.entries()) await api.upload(`tuned-${t + 1}`, files);
}

/** A test with the cluster, whose proxies are slow for as long as it says. */
function clustered(name: string, body: (cluster: Cluster, slow: (rate: number) => void) => Promise<void>): void {
  test(name, async (t) => {
    if (missing !== undefined) return t.skip(missing);
    assert.ok(cluster, 'the cluster started');
    const { proxies } = cluster;
    const slow = (rate: number) => {
      for (const proxy of proxies) proxy.rate = rate;
    };
    try {
      await body(cluster, slow);
    } finally {
      slow(Number.POSITIVE_INFINITY);
    }
  });
}

const submit = (api: ApiClient, request: object) => api.post<{ id: string }>('/v1/merges', request, [202]);
const excluding = (pattern: string) => ({ ...REQUESTS[0]!, exclude: [pattern] });

/** Waits until a worker has read some of the merge's weights; returns which. */
async function runningOn({ api, workers }: Cluster, id: string): Promise<number> {
  await until('the merge reads weights', async () => {
    await pause(POLL_MS);
    return ((await api.merge(id)).progress?.bytes_done ?? 0) > 0;
  });
  return workers.findIndex((worker) => worker.began(id));
}

/** What lies in the bucket under a merge, its facts by name and the rest by path. */
async function storedUnder({ store, s3, bucket }: Cluster, id: string): Promise<string[]> {
  const prefix = `default/merges/${id}/`;
  const { Uploads = [] } = await s3.client.send(
    new ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: `service/${prefix}` }),
  );
  return [
    ...(await keys(store, prefix)).map((key) => key.slice(prefix.length)),
    ...Uploads.map(({ Key }) => `unfinished ${Key}`),
  ];
}

/** A fact of a merge that was asked for again. */
const OPENED = /^opened\/\d+\.json$/;

/** One attempt lies there, whole, once any that lost has removed its own. */
async function requireOneAttempt(cluster: Cluster, id: string): Promise<void> {
  const files = await cluster.api.files(id);
  await until('one whole attempt is left', async () => {
    await pause(POLL_MS);
    const stored = (await storedUnder(cluster, id)).filter((path) => path.includes('/') && !OPENED.test(path));
    const paths = stored.map((path) => path.split('/').slice(2).join('/'));
    return paths.length === files.length && files.every(({ path }) => paths.includes(path));
  });
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

clustered('merges run on both workers and give what an embedded server over a folder gives', async (cluster, slow) => {
  const { api, workers } = cluster;
  slow(10 * SLOW);
  const ids = await Promise.all(REQUESTS.map(async (request) => (await submit(api, request)).id));
  const events = await api.events(ids.at(-1)!);
  for (const id of ids) await api.ended(id);
  slow(Number.POSITIVE_INFINITY);

  for (const worker of workers) assert.ok(ids.some(worker.began), 'each worker took part');
  assert.equal(events.at(-1)!.event, 'succeeded');
  assert.ok(events.slice(0, -1).every(({ event }) => event === 'progress') && events.length > 1);

  const config = readConfig({ LOG_LEVEL: 'silent', EMR_DATA_DIR: join(folder, 'embedded') });
  const embedded = await startServer({ ...config, port: 0 });
  try {
    const alone = apiClient(embedded.url);
    await uploadAll(alone);
    for (const [i, request] of REQUESTS.entries()) {
      assert.equal((await submit(alone, request)).id, ids[i], 'the same request is the same merge anywhere');
      await alone.ended(ids[i]!);
      assert.deepEqual(await api.files(ids[i]!), await alone.files(ids[i]!));
      const model = `/v1/merges/${ids[i]}/tasks/task-2/model.safetensors`;
      assert.equal(sha256(await api.bytes(model)), sha256(await alone.bytes(model)));
    }
  } finally {
    await embedded.close();
  }
});

clustered('artifacts and models come by ranges as they come whole', async ({ api }) => {
  const { id } = await api.post<{ id: string }>('/v1/merges', REQUESTS[0]!, [200]);
  for (const { path, bytes, sha256: expected } of await api.files(id)) {
    const hash = createHash('sha256');
    const step = Math.ceil(bytes / 3) + 1;
    for (let at = 0; at < bytes; at += step) {
      hash.update(await api.bytes(`/v1/merges/${id}/files/${path}`, { range: `bytes=${at}-${at + step - 1}` }));
    }
    assert.equal(hash.digest('hex'), expected, path);
  }
  const model = `/v1/merges/${id}/tasks/task-1/model.safetensors`;
  const whole = await api.bytes(model);
  const parts = [];
  for (let at = 0; at < whole.byteLength; at += 1_234_567) {
    parts.push(await api.bytes(model, { range: `bytes=${at}-${at + 1_234_566}` }));
  }
  assert.equal(sha256(Buffer.concat(parts)), sha256(whole));
});

clustered('a cancelled merge stops and leaves only its facts; asked for again, it runs', async (cluster, slow) => {
  const { api } = cluster;
  slow(SLOW);
  const request = excluding('nothing-1');
  const { id } = await submit(api, request);
  await runningOn(cluster, id);
  const answer = await api.post<{ state: string }>(`/v1/merges/${id}/cancel`, {}, [200]);
  assert.equal(answer.state, 'cancelled');
  assert.deepEqual(await storedUnder(cluster, id), ['cancelled.json', 'request.json']);
  slow(Number.POSITIVE_INFINITY);
  assert.equal((await submit(api, request)).id, id);
  await api.ended(id);
  await requireOneAttempt(cluster, id);
});

clustered('a merge outlives broken connections to S3', async (cluster, slow) => {
  const { api, proxies } = cluster;
  slow(SLOW);
  const { id } = await submit(api, excluding('nothing-0'));
  const worker = await runningOn(cluster, id);
  proxies[worker]!.cut();
  await pause(POLL_MS);
  proxies[worker]!.cut();
  slow(Number.POSITIVE_INFINITY);
  await api.ended(id);
  await requireOneAttempt(cluster, id);
});

clustered('a worker that gets SIGTERM hands its merge to the other and ends', async (cluster, slow) => {
  const { api, workers, processes, proxies, env } = cluster;
  slow(SLOW);
  const { id } = await submit(api, excluding('nothing-2'));
  const leaving = await runningOn(cluster, id);
  const worker = workers[leaving]!;
  assert.equal(await worker.stop('SIGTERM'), 0, worker.lines.join('\n'));
  processes.delete(worker);
  await until('the other worker has it', () => workers[1 - leaving]!.began(id));
  slow(Number.POSITIVE_INFINITY);
  await api.ended(id);
  await requireOneAttempt(cluster, id);
  workers[leaving] = await startWorker({ ...env, S3_ENDPOINT: proxies[leaving]!.url });
  processes.add(workers[leaving]!);
});

clustered('a merge whose worker is killed succeeds on the other', async (cluster, slow) => {
  const { api, workers, processes, proxies, env } = cluster;
  slow(SLOW);
  const { id } = await submit(api, excluding('nothing-3'));
  const dying = await runningOn(cluster, id);
  await workers[dying]!.stop('SIGKILL');
  processes.delete(workers[dying]!);
  slow(Number.POSITIVE_INFINITY);
  await api.ended(id);
  assert.ok(workers[1 - dying]!.began(id));
  await requireOneAttempt(cluster, id);
  workers[dying] = await startWorker({ ...env, S3_ENDPOINT: proxies[dying]!.url });
  processes.add(workers[dying]!);
});

clustered(
  'a Redis that lost everything loses no merge: the next API to start queues them again',
  async (cluster, slow) => {
    const { api, redis, processes, env, s3 } = cluster;
    slow(SLOW);
    const ids = await Promise.all([4, 5, 6].map(async (i) => (await submit(api, excluding(`nothing-${i}`))).id));
    await until('both workers run one', async () => {
      await pause(POLL_MS);
      const merges = await Promise.all(ids.map(api.merge));
      return merges.filter(({ state }) => state === 'running').length === 2;
    });
    const client = new Redis(redis.url);
    await client.flushall();
    client.disconnect();
    assert.ok((await Promise.all(ids.map(api.merge))).every(({ state }) => state === 'queued'));
    processes.add(await startApi({ ...env, S3_ENDPOINT: s3.endpoint }));
    slow(Number.POSITIVE_INFINITY);
    for (const id of ids) await api.ended(id);
    for (const id of ids) await requireOneAttempt(cluster, id);
  },
);
