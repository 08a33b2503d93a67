/** What SEMANTICS promises of a merge, seen by a client: the counter-example, identity, aliases, figures of a file. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readConfig } from '../../src/config.js';
import { type RunningServer, startServer } from '../../src/server.js';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { folderOf } from '../helpers/random-checkpoint.js';
import { f32 } from '../helpers/safetensors-file.js';
import { temporaryFolder } from '../helpers/temporary.js';

const folder = temporaryFolder('emr-report-');
let server: RunningServer;
let api: ApiClient;

const BASE = [10, -20, 30];
const CHECKPOINTS: Record<string, number[]> = {
  base: BASE,
  one: BASE.map((weight, i) => weight + [1, -1, -1][i]!),
  two: BASE.map((weight, i) => weight + [1, 2, 2][i]!),
  same: BASE,
};

before(async () => {
  const config = readConfig({ LOG_LEVEL: 'silent', EMR_DATA_DIR: join(folder, 'data') });
  server = await startServer({ ...config, port: 0 });
  api = apiClient(server.url);
  for (const [name, values] of Object.entries(CHECKPOINTS)) await api.upload(name, folderOf([f32('w', values)]));
});
after(() => server?.close());

const request = (tasks: readonly string[], more: object = {}) => ({
  base: 'base',
  tasks: tasks.map((checkpoint) => ({ name: checkpoint, checkpoint })),
  ...more,
});

/** The weights of a task's model. */
async function weights(id: string, task: string, query = ''): Promise<number[]> {
  const file = await api.bytes(`/v1/merges/${id}/tasks/${task}/model.safetensors${query}`);
  return [...new Float32Array(Uint8Array.from(file.subarray(-12)).buffer)];
}

interface Figures {
  readonly rescalers: Record<string, number>;
  readonly distances: { readonly unified: number; readonly masked: number; readonly rescaled: Record<string, number> };
}
interface Report {
  readonly tasks: Record<string, Figures>;
  readonly warnings: readonly string[];
  readonly storage: { readonly bundle_bytes: number; readonly checkpoints_bytes: number };
}

test('the counter-example, from checkpoints to weights', async () => {
  const { id } = await api.post<{ id: string }>('/v1/merges', request(['one', 'two']));
  await api.ended(id);
  const report = await api.get<Report>(`/v1/merges/${id}/report`);
  assert.deepEqual(report.tasks.one!.rescalers, { global: 3, tensor_mean: 3, l2: 1 });
  const { unified, masked, rescaled } = report.tasks.one!.distances;
  assert.deepEqual([unified, masked, rescaled.global, rescaled.l2], [18, 2, 6, 2]);
  // W_pre + λ·(1, 0, 0).
  assert.deepEqual(await weights(id, 'one'), [13, -20, 30]);
  assert.deepEqual(await weights(id, 'one', '?rescaler=l2'), [11, -20, 30]);
  assert.deepEqual(await weights(id, 'two'), CHECKPOINTS.two);
});

test('the bytes that the report names are those of the files', async () => {
  const { id } = await api.post<{ id: string }>('/v1/merges', request(['one', 'two']), [200]);
  const { storage } = await api.get<Report>(`/v1/merges/${id}/report`);
  const files = (await api.files(id)).filter(({ path }) => path !== 'report.json');
  assert.equal(
    storage.bundle_bytes,
    files.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  assert.equal(storage.checkpoints_bytes, 2 * folderOf([f32('w', BASE)]).get('model.safetensors')!.byteLength);
});

test('a task equal to the base is rebuilt as the base, with a warning', async () => {
  const { id } = await api.post<{ id: string }>('/v1/merges', request(['two', 'same']));
  await api.ended(id);
  const report = await api.get<Report>(`/v1/merges/${id}/report`);
  assert.deepEqual(report.tasks.same!.rescalers, { global: 0, tensor_mean: 0, l2: 0 });
  assert.deepEqual(report.warnings, ['same equals the base in every merged tensor: its rescalers are 0.']);
  assert.deepEqual(await weights(id, 'same'), BASE);
});

test('a merge of one is the fine-tune itself, by any rescaler', async () => {
  const { id } = await api.post<{ id: string }>('/v1/merges', request(['one']));
  await api.ended(id);
  for (const rescaler of ['global', 'tensor-mean', 'l2']) {
    assert.deepEqual(await weights(id, 'one', `?rescaler=${rescaler}`), CHECKPOINTS.one);
  }
});

test('a name is an alias: many names for one merge, one merge for a name; order makes another merge', async () => {
  type Merge = { id: string; name?: string };
  const { id } = await api.post<Merge>('/v1/merges', request(['one', 'two']), [200]);
  assert.equal((await api.post<Merge>('/v1/merges', request(['one', 'two'], { name: 'first' }), [200])).id, id);
  assert.equal((await api.post<Merge>('/v1/merges', request(['one', 'two'], { name: 'second' }), [200])).id, id);
  for (const name of ['first', 'second']) assert.equal((await api.get<Merge>(`/v1/merges/${name}`)).id, id);
  assert.deepEqual(await weights('first', 'two'), CHECKPOINTS.two);

  const reversed = request(['two', 'one'], { name: 'first' });
  assert.equal((await api.post<{ code: string }>('/v1/merges', reversed, [409])).code, 'name_taken');
  const other = await api.post<Merge>('/v1/merges', { ...reversed, name: 'third' }, [202]);
  assert.notEqual(other.id, id);
  await api.ended('third');
  assert.equal((await api.get<Merge>('/v1/merges/third')).id, other.id);
  const gone = await fetch(`${server.url}/v1/merges/third`, { method: 'DELETE' });
  assert.equal(gone.status, 204);
  const again = await api.post<Merge>('/v1/merges', request(['one'], { name: 'third' }), [200]);
  assert.equal((await api.get<Merge>('/v1/merges/third')).id, again.id);
});
