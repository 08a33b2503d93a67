/** SIGTERM: downloads in flight end well or are cut, and a merge goes to another worker at once. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { largeCheckpoint, putLarge } from '../helpers/large-checkpoint.js';
import { privateRedis } from '../helpers/redis.js';
import { type ApiProcess, type ServiceProcess, startApi, startWorker } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const folder = temporaryFolder('emr-stop-');
/** More than the sockets of both sides hold, so that a client that does not read stops the server's sending. */
const DOWNLOAD_BYTES = 16 * 2 ** 20;
/** With the reference engine and one thread, seconds of work. */
const LONG_BYTES = 32 * 2 ** 20;
const TASKS = [1, 2].map((t) => ({ name: `t${t}`, checkpoint: `c${t}` }));
const MODEL = 'tasks/t1/model.safetensors';

async function upload(url: string, bytes: number): Promise<void> {
  for (const t of [0, 1, 2]) await putLarge(url, `c${t}`, largeCheckpoint(bytes, t));
}

async function merged(api: ApiClient): Promise<string> {
  const { id } = await api.post<{ id: string }>('/v1/merges', { base: 'c0', tasks: TASKS });
  await api.ended(id);
  return id;
}

/** A download whose head has come, and of whose body nothing is read yet. */
async function opened(url: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url), 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  return response;
}

async function refusesConnections({ url }: ApiProcess): Promise<void> {
  await until('new requests are refused', () =>
    fetch(`${url}/healthz`, { headers: { connection: 'close' } }).then(
      async (response) => void (await response.text()),
      () => true,
    ),
  );
}

test('a download in flight ends whole after SIGTERM, and nothing new is taken', async () => {
  const server = await startApi({ EMR_DATA_DIR: join(folder, 'whole'), EMR_THREADS: '2' });
  await upload(server.url, DOWNLOAD_BYTES);
  const api = apiClient(server.url);
  const path = `${server.url}/v1/merges/${await merged(api)}/${MODEL}`;
  const expected = createHash('sha256').update(Buffer.from(await (await fetch(path)).arrayBuffer()));
  const download = await opened(path);
  const ended = server.stop('SIGTERM');
  await refusesConnections(server);
  const hash = createHash('sha256');
  for await (const chunk of download) hash.update(chunk as Buffer);
  assert.equal(hash.digest('hex'), expected.digest('hex'));
  assert.equal(await ended, 0, server.lines.join('\n'));
});

test('a download that nobody reads does not outlast the grace', async () => {
  const env = { EMR_DATA_DIR: join(folder, 'cut'), EMR_THREADS: '2', EMR_GRACE_SECONDS: '2' };
  const server = await startApi(env);
  await upload(server.url, DOWNLOAD_BYTES);
  const path = `${server.url}/v1/merges/${await merged(apiClient(server.url))}/${MODEL}`;
  const download = await opened(path);
  assert.equal(await server.stop('SIGTERM'), 0, server.lines.join('\n'));
  await assert.rejects(async () => {
    for await (const _ of download);
  }, 'the client sees that its download was cut');
});

test('a worker that is told to stop hands its merge on at once, however long its lock', async (t) => {
  const redis = await privateRedis();
  if ('skip' in redis) return t.skip(redis.skip);
  // Were the merge to wait for its lock, this test would wait ten minutes.
  const env = {
    EMR_DATA_DIR: join(folder, 'workers'),
    REDIS_URL: redis.url,
    EMR_THREADS: '1',
    EMR_LOCK_SECONDS: '600',
  };
  const running = new Set<ServiceProcess>();
  try {
    const server = await startApi(env);
    running.add(server);
    const workers = await Promise.all([startWorker(env), startWorker(env)]);
    for (const worker of workers) running.add(worker);
    await upload(server.url, LONG_BYTES);
    const api = apiClient(server.url);
    const request = { base: 'c0', tasks: TASKS, engine: 'scalar' };
    const { id } = await api.post<{ id: string }>('/v1/merges', request);
    await until('the merge runs', async () => {
      await pause(20);
      const { state, progress } = await api.merge(id);
      assert.ok(state === 'queued' || state === 'running', `${state} before it could be handed on`);
      return (progress?.bytes_done ?? 0) > 0;
    });
    const leaving = workers.find((worker) => worker.began(id))!;
    const other = workers.find((worker) => worker !== leaving)!;
    assert.equal(await leaving.stop('SIGTERM'), 0, leaving.lines.join('\n'));
    running.delete(leaving);
    await until('the other worker has it', () => other.began(id));
    assert.equal((await api.ended(id)).attempts, 0, 'the queue is done with it');
  } finally {
    await Promise.all([...running].map((one) => one.stop('SIGKILL')));
    await redis.stop();
  }
});
