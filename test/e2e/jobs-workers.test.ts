/** Jobs with an API process, a worker process and a real Redis. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TASKS } from '../../examples/digits/tasks.js';
import type { JobView } from '../../src/api/schemas/job.js';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { privateRedis } from '../helpers/redis.js';
import { type ServiceProcess, startApi, startWorker } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const cleanUp: (() => Promise<unknown>)[] = [];
let missing: string | undefined;
let api: ApiClient;
let worker: ServiceProcess;
let env: Record<string, string>;

before(async () => {
  const redis = await privateRedis();
  if ('skip' in redis) {
    missing = redis.skip;
    return;
  }
  cleanUp.push(redis.stop);
  env = { REDIS_URL: redis.url, EMR_DATA_DIR: temporaryFolder('emr-jobs-') };
  const server = await startApi(env);
  cleanUp.push(() => server.stop('SIGKILL'));
  worker = await startWorker(env);
  cleanUp.push(() => worker.stop('SIGKILL'));
  api = apiClient(server.url);
  for (const name of ['base', 'mnist']) await api.upload(name, Object.entries(await digitsFolder(name)));
  await api.upload('data', Object.entries(datasetFolder(await digitsTest(TASKS[0]!, 200))));
});
after(async () => {
  for (const end of cleanUp.reverse()) await end();
});

const EVALUATE = { type: 'evaluate', model: { checkpoint: 'mnist' }, dataset: 'data' };
const ENDLESS = {
  type: 'adamerging',
  base: 'base',
  tasks: [{ name: 'm', checkpoint: 'mnist', dataset: 'data' }],
  steps: 100_000,
};
const view = (id: string) => api.get<JobView>(`/v1/jobs/${id}`);
const ended = (id: string) =>
  until('it has ended', async () => {
    const job = await view(id);
    return ['succeeded', 'failed', 'cancelled'].includes(job.state) ? job : undefined;
  });
const computing = (id: string) => until('it computes', async () => ((await view(id)).progress?.bytes_done ?? 0) > 0);

test('a worker runs a job, and merges beside it', async (t) => {
  if (missing) return t.skip(missing);
  const { id } = await api.post<JobView>('/v1/jobs', EVALUATE);
  const tasks = [{ name: 'm', checkpoint: 'mnist' }];
  const merge = await api.post<{ id: string }>('/v1/merges', { base: 'base', tasks });
  const job = await ended(id);
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
  assert.equal(job.result!.backend, 'wasm');
  await api.ended(merge.id);
  const model = { merge: merge.id, task: 'm' };
  const merged = await ended((await api.post<JobView>('/v1/jobs', { ...EVALUATE, model })).id);
  assert.equal(merged.state, 'succeeded');
  const { items } = await api.get<{ items: { job: string }[] }>(`/v1/merges/${merge.id}/evaluations`);
  assert.deepEqual(
    items.map((item) => item.job),
    [merged.id],
  );
});

test('a cancel reaches the thread of another process, which is free at once', async (t) => {
  if (missing) return t.skip(missing);
  const { id } = await api.post<JobView>('/v1/jobs', ENDLESS);
  await computing(id);
  assert.equal((await api.post<JobView>(`/v1/jobs/${id}/cancel`, {})).state, 'cancelled');
  const next = await ended((await api.post<JobView>('/v1/jobs', { ...EVALUATE, batch_size: 9 })).id);
  assert.equal(next.state, 'succeeded');
});

test('a job outlives the worker that ran it, and computes longer than a lock lasts', async (t) => {
  if (missing) return t.skip(missing);
  const { id } = await api.post<JobView>('/v1/jobs', ENDLESS);
  await computing(id);
  await worker.stop('SIGTERM');
  await until('it waits', async () => (await view(id)).state === 'queued');
  worker = await startWorker(env);
  await computing(id);
  const before = (await view(id)).attempts;
  // A lock lasts 10 s; a thread that kept its process busy would lose it, and the job would be started again.
  await new Promise((resolve) => setTimeout(resolve, 16_000));
  const job = await view(id);
  assert.deepEqual([job.state, job.attempts], ['running', before]);
  assert.equal((await api.post<JobView>(`/v1/jobs/${id}/cancel`, {})).state, 'cancelled');
});
