import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { ResultRow } from '../../src/api/batch-results.js';
import type { MergeView } from '../../src/api/schemas/merge.js';
import type { Steps } from '../../src/merge/rescalers.js';
import { family, singleFile } from '../helpers/model-files.js';
import { testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());

const models = family(2);
await server.upload('base', singleFile(models.base));
await server.upload('ft', singleFile(models.tasks[0]!));
await server.upload('other', singleFile(models.tasks[1]!));
const tasks = [{ name: 't', checkpoint: 'ft' }];
const good = ['zero', 'negative'].map((zero_sign) => ({
  name: `sign-${zero_sign}`,
  base: 'base',
  tasks,
  method: { type: 'emr', zero_sign },
}));

test('a batch is accepted whole, and shows all its merges', async () => {
  const response = await server.call('POST', '/v1/batches', { json: { merges: good } });
  assert.equal(response.status, 202);
  const { id, merges } = (await response.json()) as { id: string; merges: MergeView[] };
  assert.equal(response.headers.get('location'), `/v1/batches/${id}`);
  assert.deepEqual(
    merges.map((merge) => merge.name),
    good.map((request) => request.name),
  );
  const states = async () =>
    ((await server.expect(200, 'GET', `/v1/batches/${id}`)).merges as MergeView[]).map((merge) => merge.state);
  await until('all have succeeded', async () => (await states()).every((state) => state === 'succeeded'));
  const again = await server.expect(202, 'POST', '/v1/batches', { json: { merges: good } });
  assert.equal(again.id, id, 'the same merges are the same batch');
  await server.expect(204, 'DELETE', '/v1/merges/sign-zero');
  assert.deepEqual(await states(), ['succeeded'], 'a merge that was deleted is not shown');
});

test('if one merge is refused none is accepted, and every refusal is listed', async () => {
  const before = await server.stored();
  const fresh = { base: 'base', tasks, method: { type: 'average' } };
  const merges = [
    fresh,
    { ...fresh, base: 'nobody' },
    { ...fresh, strict: true },
    { ...fresh, include: ['nothing.here'] },
  ];
  const problem = await server.refuse('batch_refused', 422, 'POST', '/v1/batches', { json: { merges } });
  assert.deepEqual(
    (problem.refusals as { index: number; code: string }[]).map(({ index, code }) => [index, code]),
    [
      [1, 'unknown_checkpoint'],
      [2, 'merge_conflict'],
      [3, 'merge_conflict'],
    ],
  );
  assert.deepEqual(await server.stored(), before);
});

test('a name that is taken, or given twice, refuses the batch too', async () => {
  const before = await server.stored();
  const named = (type: string, name: string) => ({ base: 'base', tasks, method: { type }, name });
  for (const merges of [
    [named('average', 'free'), named('task_arithmetic', 'sign-negative')],
    [named('average', 'one'), named('task_arithmetic', 'one')],
  ]) {
    const problem = await server.refuse('batch_refused', 422, 'POST', '/v1/batches', { json: { merges } });
    const [{ index, code }] = problem.refusals as [{ index: number; code: string }];
    assert.deepEqual({ index, code }, { index: 1, code: 'name_taken' });
    assert.deepEqual(await server.stored(), before, 'none was accepted');
  }
});

test('the same merge twice in a batch is one merge', async () => {
  const merges = [good[1], good[1]];
  const batch = await server.expect(202, 'POST', '/v1/batches', { json: { merges } });
  assert.equal(new Set((batch.merges as MergeView[]).map((merge) => merge.id)).size, 1);
});

test('the results of an ablation tell its steps apart', async () => {
  const template = { base: 'base', tasks: [...tasks, { name: 'o', checkpoint: 'other' }] };
  const grid = { methods: [{ type: 'emr', steps: ['elect', 'mask', 'rescale'] }] };
  const { id } = await server.expect(202, 'POST', '/v1/batches', { json: { template, grid } });
  const rows = async () =>
    (await server.expect(200, 'GET', `/v1/batches/${id}/results`)).items as unknown as ResultRow[];
  await until('all have succeeded', async () => (await rows()).every(({ state }) => state === 'succeeded'));
  const kinds = ['unified', 'masked', 'rescaled'] as const;
  for (const [i, row] of (await rows()).entries()) {
    const report = await server.expect(200, 'GET', `/v1/merges/${row.merge}/report`);
    const of = (kind: 'distances' | 'cosine') =>
      Object.values(report.tasks as Record<string, { distances: Steps; cosine: Steps }>).map((task) => {
        const step = task[kind][kinds[i]!];
        return typeof step === 'number' ? step : step.global;
      });
    assert.equal(row.distance, of('distances').reduce((sum, squared) => sum + Math.sqrt(squared), 0) / 2);
    assert.equal(row.cosine, of('cosine').reduce((sum, one) => sum + one, 0) / 2);
  }
  assert.equal(new Set((await rows()).map(({ distance }) => distance)).size, 3);
});

test('an empty batch and an unknown one are refused', async () => {
  for (const json of [{}, { merges: [] }, { merges: good, name: 'x' }, { merges: [{ base: 'base' }] }]) {
    await server.refuse('invalid_request', 400, 'POST', '/v1/batches', { json });
  }
  await server.refuse('unknown_batch', 404, 'GET', `/v1/batches/${'0'.repeat(32)}`);
  await server.refuse('invalid_request', 400, 'GET', '/v1/batches/not-an-id');
});
