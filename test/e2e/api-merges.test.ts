import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import type { MergeView } from '../../src/api/schemas/merge.js';
import { family, singleFile } from '../helpers/model-files.js';
import { type Json, parseEvents, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const models = family(3);
for (const [name, tensors] of [['base', models.base], ...models.tasks.map((task, t) => [`ft-${t}`, task])] as const) {
  await server.upload(name as string, singleFile(tensors as typeof models.base, name as string));
}
const tasks = models.tasks.map((_, t) => ({ name: `task-${t}`, checkpoint: `ft-${t}` }));
const request = { base: 'base', tasks, exclude: ['head.*'] };

interface FileEntry {
  path: string;
  bytes: number;
  sha256: string;
}
const filesOf = async (id: string) => (await server.expect(200, 'GET', `/v1/merges/${id}/files`)).files as FileEntry[];

test('a merge runs to its end, and every artifact is what its record says', async () => {
  const plan = await server.expect(200, 'POST', '/v1/merges/plan', { json: request });
  const merge = await server.merge({ ...request, name: 'first' });
  assert.equal(merge.state, 'succeeded', JSON.stringify(merge.error));
  assert.equal(merge.name, 'first');
  const files = await filesOf('first');
  for (const { path, bytes, sha256 } of files) {
    const content = Buffer.from(await (await server.call('GET', `/v1/merges/first/files/${path}`)).arrayBuffer());
    assert.equal(content.byteLength, bytes, path);
    assert.equal(createHash('sha256').update(content).digest('hex'), sha256, path);
  }
  assert.deepEqual(
    files.filter(({ path }) => path !== 'report.json').map(({ path, bytes }) => ({ path, bytes })),
    (plan.files as FileEntry[]).toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    'the plan knew every file and its size',
  );
  assert.equal(
    merge.result!.bytes,
    files.reduce((sum, file) => sum + file.bytes, 0),
  );
  assert.deepEqual(await server.expect(200, 'GET', `/v1/merges/${merge.id}`), merge);
  assert.deepEqual(await server.expect(200, 'GET', '/v1/merges/first'), merge);
});

test('the request is shown with its defaults', async () => {
  const { request: shown } = (await server.expect(200, 'GET', '/v1/merges/first')) as unknown as MergeView;
  assert.deepEqual(shown, {
    ...request,
    name: 'first',
    method: { type: 'emr', zero_sign: 'zero', rescaler: 'global', scope: 'model' },
    strict: false,
    engine: 'simd',
  });
});

test('the same request is the same merge, whatever its name', async () => {
  const { id } = await server.expect(200, 'GET', '/v1/merges/first');
  for (const name of [{ name: 'first' }, {}, { name: 'second-name' }]) {
    const response = await server.call('POST', '/v1/merges', { json: { ...request, ...name } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('location'), `/v1/merges/${id}`);
    assert.equal(((await response.json()) as Json).id, id);
  }
  assert.equal((await server.expect(200, 'GET', '/v1/merges/second-name')).id, id);
  const explicit = { ...request, strict: false, engine: 'simd', method: { type: 'emr', scope: 'model' } };
  assert.equal((await server.expect(200, 'POST', '/v1/merges', { json: explicit })).id, id);
});

test('two posts at once are one merge', async () => {
  const json = { ...request, dtype: 'F16', name: 'at-once' };
  const both = await Promise.all(Array.from({ length: 6 }, () => server.call('POST', '/v1/merges', { json })));
  const views = (await Promise.all(both.map((response) => response.json()))) as Json[];
  assert.equal(new Set(views.map((view) => view.id)).size, 1);
  assert.equal(both.filter((response) => response.status === 202).length, 1);
  await (await server.call('GET', '/v1/merges/at-once/events')).text();
});

test('a name belongs to its merge until that is deleted', async () => {
  const other = { ...request, method: { type: 'emr', zero_sign: 'negative' } };
  await server.refuse('name_taken', 409, 'POST', '/v1/merges', { json: { ...other, name: 'first' } });
  const merge = await server.merge({ ...other, name: 'passing' });
  await server.expect(204, 'DELETE', '/v1/merges/passing');
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/passing');
  await server.refuse('unknown_merge', 404, 'GET', `/v1/merges/${merge.id}`);
  for (const path of ['/events', '/report', '/files', '/tasks/task-0/model.safetensors']) {
    await server.refuse('unknown_merge', 404, 'GET', `/v1/merges/passing${path}`);
  }
  assert.deepEqual(
    (await server.stored()).filter((file) => file.includes(merge.id) || file.includes('passing')),
    [],
  );
  const again = await server.merge({ ...request, include: ['layers.*'], name: 'passing' });
  assert.notEqual(again.id, merge.id);
});

test('a name may not look like an id', async () => {
  await server.refuse('invalid_request', 400, 'POST', '/v1/merges', { json: { ...request, name: 'a'.repeat(32) } });
});

test('events are progress, then the end', async () => {
  const { id } = await server.expect(202, 'POST', '/v1/merges', { json: { ...request, dtype: 'BF16' } });
  const response = await server.call('GET', `/v1/merges/${id}/events`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  const events = parseEvents(await response.text());
  assert.equal(events.at(-1)!.event, 'succeeded');
  assert.ok(events.length > 1, 'the merge was not over when the events were asked for');
  let done = 0;
  for (const { event, data } of events.slice(0, -1)) {
    assert.equal(event, 'progress');
    assert.ok(data.state === 'queued' || data.state === 'running');
    const progress = (data as unknown as MergeView).progress;
    if (progress === undefined) continue;
    assert.ok(progress.bytes_done >= done && progress.bytes_done <= progress.bytes_total, JSON.stringify(progress));
    assert.ok(progress.percent >= 0 && progress.percent <= 100);
    done = progress.bytes_done;
  }
  const late = parseEvents(await (await server.call('GET', `/v1/merges/${id}/events`)).text());
  assert.deepEqual(
    late.map(({ event }) => event),
    ['succeeded'],
    'of a merge that has ended there is one event',
  );
});

test('the report has every figure of the design', async () => {
  const report = await server.expect(200, 'GET', '/v1/merges/first/report');
  const names = tasks.map((task) => task.name);
  const reported = report.tasks as Record<string, Record<string, unknown>>;
  assert.deepEqual(Object.keys(reported), names);
  const merged = ['layers.0.bias', 'layers.0.weight', 'layers.1.weight', 'layers.2.weight', 'nothing', 'scale'];
  const three = ['global', 'l2', 'tensor_mean'];
  const keys = (value: unknown) => Object.keys(value as object).sort();
  for (const task of Object.values(reported)) {
    assert.deepEqual(keys(task.rescalers), three);
    assert.deepEqual(keys(task.tensors), merged);
    assert.deepEqual(keys(task.distances), ['masked', 'rescaled', 'unified']);
    assert.deepEqual(keys((task.distances as Json).rescaled), three);
    assert.deepEqual(keys(task.cosine), ['masked', 'rescaled', 'unified']);
    for (const tensor of Object.values(task.tensors as Record<string, Json>)) {
      for (const figure of ['n', 'density', 'sign_conflicts']) assert.equal(typeof tensor[figure], 'number', figure);
      assert.deepEqual(keys(tensor.rescalers), three);
    }
  }
  assert.ok(Array.isArray(report.warnings));
});

test('the list is newest first, page by page, and steady when a merge comes in between', async () => {
  const all = (await server.expect(200, 'GET', '/v1/merges')).items as MergeView[];
  assert.ok(all.length >= 4);
  const times = all.map((merge) => merge.created_at);
  assert.deepEqual(times, times.toSorted().reverse());
  const first = await server.expect(200, 'GET', '/v1/merges?limit=2');
  await server.merge({ ...request, include: ['scale'] });
  const rest: MergeView[] = [];
  let cursor = first.next_cursor;
  while (cursor !== undefined) {
    const page = await server.expect(200, 'GET', `/v1/merges?limit=2&cursor=${cursor}`);
    rest.push(...(page.items as MergeView[]));
    cursor = page.next_cursor;
  }
  const ids = (merges: MergeView[]) => merges.map((merge) => merge.id);
  assert.deepEqual([...ids(first.items as MergeView[]), ...ids(rest)], ids(all));
  for (const query of ['cursor=x', 'limit=0', 'limit=501', 'limit=two', 'page=2']) {
    await server.refuse('invalid_request', 400, 'GET', `/v1/merges?${query}`);
  }
});

test('a server that was restarted knows its merges', async () => {
  const before = await server.expect(200, 'GET', '/v1/merges/first');
  await server.restart();
  assert.deepEqual(await server.expect(200, 'GET', '/v1/merges/first'), before);
});
