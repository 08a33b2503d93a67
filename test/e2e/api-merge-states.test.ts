import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { MergeView } from '../../src/api/schemas/merge.js';
import { family, randomTensor, singleFile } from '../helpers/model-files.js';
import { type Json, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer({ EMR_THREADS: '1' });
after(() => server.close());

/** Long enough to be caught at work: the reference engine on one thread, over the same large file again and again. */
const ELEMENTS = 4_000_000;
await server.upload('large-base', singleFile([randomTensor('w', [ELEMENTS], 1)]));
await server.upload('large', singleFile([randomTensor('w', [ELEMENTS], 2)]));
const slow = (name: string, extra: Json = {}) => ({
  name,
  base: 'large-base',
  tasks: Array.from({ length: 24 }, (_, t) => ({ name: `t${t}`, checkpoint: 'large' })),
  engine: 'scalar',
  ...extra,
});

const view = async (id: string) => (await server.expect(200, 'GET', `/v1/merges/${id}`)) as unknown as MergeView;
const artifacts = async (id: string) => (await server.stored()).filter((file) => file.includes(`merges/${id}/a/`));
const start = async (request: Json) => {
  const { id } = await server.expect(202, 'POST', '/v1/merges', { json: request });
  await until('it reads weights', async () => ((await view(id as string)).progress?.bytes_done ?? 0) > 0);
  return id as string;
};

test('a running merge can be cancelled: then it has ended, and nothing of it is left', async () => {
  const id = await start(slow('cancelled'));
  assert.ok((await artifacts(id)).length > 0, 'it was writing');
  const cancelled = await server.expect(200, 'POST', '/v1/merges/cancelled/cancel');
  assert.equal(cancelled.state, 'cancelled');
  assert.deepEqual(await artifacts(id), []);
  assert.equal((await view(id)).state, 'cancelled');
  assert.equal((await server.expect(200, 'POST', '/v1/merges/cancelled/cancel')).state, 'cancelled', 'again');
  const { retry } = await server.refuse('merge_failed', 409, 'GET', `/v1/merges/${id}/report`);
  assert.equal(retry, false, 'it will not come to a result by itself');
});

test('a merge can be cancelled while it looks for thresholds', async () => {
  const id = await start(slow('surveyed', { engine: 'simd', method: { type: 'ties' } }));
  assert.equal((await view(id)).progress?.phase, 'surveying');
  assert.equal((await server.expect(200, 'POST', `/v1/merges/${id}/cancel`)).state, 'cancelled');
  assert.deepEqual(await artifacts(id), []);
  assert.equal((await view(id)).state, 'cancelled');
});

test('a cancelled merge can be asked for again, and deleted', async () => {
  const id = await start(slow('cancelled'));
  await server.refuse('merge_running', 409, 'DELETE', `/v1/merges/${id}`);
  await server.expect(200, 'POST', `/v1/merges/${id}/cancel`);
  await server.expect(204, 'DELETE', `/v1/merges/${id}`);
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/cancelled');
  assert.deepEqual(
    (await server.stored()).filter((file) => file.includes(id)),
    [],
  );
});

test('while a merge runs the next one waits, its checkpoints stay, and it has no files', async () => {
  const running = await start(slow('running'));
  const { id: waiting } = await server.expect(202, 'POST', '/v1/merges', { json: slow('waiting', { dtype: 'F16' }) });
  assert.equal((await view(waiting as string)).state, 'queued');
  for (const checkpoint of ['large', 'large-base', 'large?force=true']) {
    await server.refuse('checkpoint_in_use', 409, 'DELETE', `/v1/checkpoints/${checkpoint}`);
  }
  for (const path of ['report', 'files', 'files/unified.safetensors', 'tasks/t0/model.safetensors', 'tasks/t0/files']) {
    const { retry } = await server.refuse('merge_not_ready', 409, 'GET', `/v1/merges/running/${path}`);
    assert.equal(retry, true);
  }
  assert.equal((await server.expect(200, 'POST', `/v1/merges/${waiting}/cancel`)).state, 'cancelled');
  assert.equal((await view(running)).state, 'running', 'the other one goes on');
  const events = await server.call('GET', `/v1/merges/${running}/events`);
  await server.expect(200, 'POST', `/v1/merges/${running}/cancel`);
  assert.match(await events.text(), /event: cancelled\n/);
});

test('a merge that ran when the server stopped is run by the next one', async () => {
  const id = await start(slow('interrupted', { tasks: slow('').tasks.slice(0, 8) }));
  await server.restart();
  await until('it has ended', async () => (await view(id)).state === 'succeeded', 60_000);
  const attempts = new Set((await artifacts(id)).map((file) => file.split('/a/')[1]!.split('/')[0]));
  assert.equal(attempts.size, 1, 'the first attempt left nothing');
});

test('a weight that is not finite ends the merge, and is named', async () => {
  const { base, tasks } = family(2);
  const broken = tasks[1]!.map((tensor) => {
    if (tensor.name !== 'layers.0.weight') return tensor;
    const data = Uint8Array.from(tensor.data!);
    new DataView(data.buffer).setFloat32(4 * 777, Number.NaN, true);
    return { ...tensor, data };
  });
  await server.upload('base', singleFile(base));
  await server.upload('whole', singleFile(tasks[0]!));
  await server.upload('broken', singleFile(broken));
  const named = [
    { name: 'x', checkpoint: 'whole' },
    { name: 'y', checkpoint: 'broken' },
  ];
  const request = { name: 'not-finite', base: 'base', tasks: named };
  const failed = await server.merge(request);
  assert.equal(failed.state, 'failed');
  const { code, detail, failed_at, ...facts } = failed.error!;
  assert.equal(code, 'non_finite_weight');
  assert.deepEqual(facts, { checkpoint: 'broken', task: 'y', tensor: 'layers.0.weight', index: 777 });
  for (const word of ['broken', 'layers.0.weight', '777']) assert.ok(detail.includes(word), detail);
  assert.deepEqual(await artifacts(failed.id), []);
  await server.refuse('merge_ended', 409, 'POST', '/v1/merges/not-finite/cancel');
  const { retry, error } = await server.refuse('merge_failed', 409, 'GET', '/v1/merges/not-finite/files');
  assert.deepEqual([retry, (error as { code: string }).code], [false, 'non_finite_weight']);

  const again = await server.merge(request);
  assert.equal(again.id, failed.id, 'the same bytes are the same merge, run again');
  assert.equal(again.state, 'failed');

  await server.expect(204, 'DELETE', '/v1/checkpoints/broken');
  await server.upload('broken', singleFile(tasks[1]!));
  const mended = await server.merge(request);
  assert.notEqual(mended.id, failed.id);
  assert.equal(mended.state, 'succeeded');
  // The name went to the merge that is of use; the other can still be had by its id.
  assert.equal((await server.expect(200, 'GET', '/v1/merges/not-finite')).id, mended.id);
  const former = await server.expect(200, 'GET', `/v1/merges/${failed.id}`);
  assert.deepEqual([former.state, former.name], ['failed', undefined]);
  await server.expect(204, 'DELETE', `/v1/merges/${failed.id}`);
  assert.equal((await server.expect(200, 'GET', '/v1/merges/not-finite')).id, mended.id);
});

test('the base of a finished merge stays unless it is forced; then its tasks cannot be rebuilt', async () => {
  await server.refuse('checkpoint_in_use', 409, 'DELETE', '/v1/checkpoints/base');
  await server.expect(204, 'DELETE', '/v1/checkpoints/whole');
  const path = '/v1/merges/not-finite/tasks/x/model.safetensors';
  const { status, headers } = await server.call('GET', path);
  assert.equal(status, 200, 'a fine-tune is not needed any more');
  await server.expect(204, 'DELETE', '/v1/checkpoints/base?force=true');
  await server.refuse('checkpoint_changed', 409, 'GET', path);
  await server.upload('base', singleFile(family(2, 9).base));
  await server.refuse('checkpoint_changed', 409, 'GET', path);
  await server.expect(204, 'DELETE', '/v1/checkpoints/base'); // another one: no merge is rebuilt from it
  await server.upload('base', singleFile(family(2).base));
  const back = await server.call('GET', path);
  assert.equal(back.status, 200, 'the same base, uploaded again, is the same');
  assert.equal(back.headers.get('etag'), headers.get('etag'));
  assert.equal((await back.arrayBuffer()).byteLength, Number(back.headers.get('content-length')));
});

test('what is unknown cannot be cancelled, deleted or followed', async () => {
  for (const id of ['nothing', 'f'.repeat(32)]) {
    await server.refuse('unknown_merge', 404, 'POST', `/v1/merges/${id}/cancel`);
    await server.refuse('unknown_merge', 404, 'DELETE', `/v1/merges/${id}`);
    await server.refuse('unknown_merge', 404, 'GET', `/v1/merges/${id}/events`);
  }
});
