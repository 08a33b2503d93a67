/** kill -9 of a server late in a merge over S3: the next goes on from the savepoint. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/types.js';
import { apiClient } from '../helpers/api-client.js';
import { largeCheckpoint, putLarge } from '../helpers/large-checkpoint.js';
import { s3Server } from '../helpers/s3-server.js';
import { startApi } from '../helpers/service-process.js';
import { slowProxy } from '../helpers/slow-proxy.js';
import { chunks, keys, readAll } from '../helpers/stores.js';
import { until } from '../helpers/until.js';

/** Eight tensors, each an item: one is more than a part of an upload. */
const BYTES = 48 * 2 ** 20;
const TASKS = [1, 2];
/** Slow enough to be met in the middle. */
const BYTES_PER_SECOND = 60e6;
/** Items that are done when the server is killed, of eight. */
const DONE = 4;

/** The next item of the merge's savepoint. */
async function savedItem(store: Store, merge: string): Promise<number> {
  const records = (await keys(store, `${merge}a/`)).filter((key) => /\/saved\/\d+\.json$/.test(key));
  const bytes = await store.readSmall(records.at(-1) ?? 'none');
  if (bytes === undefined) return 0;
  const { savepoint } = JSON.parse(bytes.toString()) as { savepoint: string };
  return (JSON.parse(savepoint) as { item: number }).item;
}

/** Whoever reads the first tensor of this fine-tune again gets other results. */
async function spoilFirstTensor(store: Store): Promise<void> {
  const found = await keys(store, 'default/checkpoints/c1/');
  const key = found.find((one) => one.endsWith('model.safetensors'))!;
  const bytes = await readAll(store, key);
  const weights = Number(bytes.readBigUInt64LE(0)) + 8;
  bytes.fill(0x3d, weights, weights + 400_000);
  await store.put(key, chunks(bytes, 2 ** 20));
}

test('after kill -9 nothing before the savepoint is computed again, and nothing of the dead attempt is left', async (t) => {
  const s3 = await s3Server();
  if ('skip' in s3) return t.skip(s3.skip);
  const bucket = await s3.createBucket();
  const proxy = await slowProxy(s3.endpoint);
  const store = await openStore({ kind: 's3', bucket: bucket.name, prefix: 'killed', endpoint: s3.endpoint });
  const env = {
    ...s3.env,
    EMR_STORE: `s3://${bucket.name}/killed`,
    S3_ENDPOINT: proxy.url,
    EMR_THREADS: '1',
    EMR_SAVE_SECONDS: '0',
    EMR_VERIFY: 'off',
  };
  let server = await startApi(env);
  try {
    for (const c of [0, ...TASKS]) await putLarge(server.url, `c${c}`, largeCheckpoint(BYTES, c));
    const tasks = TASKS.map((c) => ({ name: `t${c}`, checkpoint: `c${c}` }));
    const request = { base: 'c0', tasks, engine: 'scalar' };
    const { id } = await apiClient(server.url).post<{ id: string }>('/v1/merges', request);
    await apiClient(server.url).ended(id);
    const expected = await apiClient(server.url).files(id);
    assert.equal((await fetch(`${server.url}/v1/merges/${id}`, { method: 'DELETE' })).status, 204);

    const merge = `default/merges/${id}/`;
    proxy.rate = BYTES_PER_SECOND;
    await apiClient(server.url).post('/v1/merges', request);
    await until('half of the merge is saved', async () => (await savedItem(store, merge)) >= DONE, 60_000);
    await server.stop('SIGKILL');
    assert.equal(await store.stat(`${merge}result.json`), undefined, 'it was killed in time');
    assert.ok((await keys(store, `${merge}a/`)).some((key) => /unified\.safetensors\/\d+$/.test(key)));
    await spoilFirstTensor(store);

    proxy.rate = Number.POSITIVE_INFINITY;
    server = await startApi(env);
    await apiClient(server.url).ended(id);
    assert.deepEqual(await apiClient(server.url).files(id), expected);
    const left = async () => (await keys(store, `${merge}a/`)).map((key) => key.split('/').slice(5).join('/'));
    // What the dead attempt left goes after the fact that tells of the end.
    await until('one attempt is left', async () => (await left()).length <= expected.length || pause(50));
    assert.deepEqual((await left()).sort(), expected.map(({ path }) => path).sort());
    const { Uploads = [] } = await s3.client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
    assert.deepEqual(Uploads, []);
  } finally {
    await server.stop('SIGKILL');
    await store.close();
    await proxy.close();
    await bucket.remove();
    await s3.stop();
  }
});
