/** What the table of a batch says, also of merges and evaluations that failed. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ResultRow } from '../../src/api/batch-results.js';
import { datasetFolder } from '../helpers/digits.js';
import { f32, safetensorsFile } from '../helpers/safetensors-file.js';
import { type Json, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());

const layers = [{ class_name: 'Linear', config: { name: 'out', units: 2, batch_input_shape: [null, 2] } }];
const topology = JSON.stringify({ class_name: 'Sequential', config: { name: 's', layers } });
const model = (...weight: number[]) => ({
  'model.json': topology,
  'model.safetensors': safetensorsFile([f32('out.weight', weight, [2, 2]), f32('out.bias', [0, 0])]),
});
const data = (...labels: number[]) =>
  datasetFolder([
    f32('x', [1, 2, 3, 4], [2, 2]),
    { name: 'y', dtype: 'U8', shape: [2], data: Uint8Array.from(labels) },
  ]);

before(async () => {
  const folders = {
    base: model(0, 0, 0, 0),
    one: model(1, 0, 0, 1),
    two: model(0, 1, 1, 0),
    'not-finite': model(Number.NaN, 0, 0, 0),
    good: data(0, 1),
    beyond: data(0, 2),
  };
  for (const [name, folder] of Object.entries(folders)) {
    assert.equal((await server.upload(name, folder)).status, 201, name);
  }
});

async function tables(second: string, evaluate: Json, isDone: (row: ResultRow) => boolean) {
  const tasks = [
    { name: 'a', checkpoint: 'one' },
    { name: 'b', checkpoint: second },
  ];
  const json = { merges: [{ base: 'base', tasks }], evaluate };
  const { id } = await server.expect(202, 'POST', '/v1/batches', { json });
  const row = async () =>
    ((await server.expect(200, 'GET', `/v1/batches/${id}/results`)).items as unknown as [ResultRow])[0];
  await until('it has come to its end', async () => isDone(await row()));
  const text = await (await server.call('GET', `/v1/batches/${id}/results?format=csv`)).text();
  const [head, cells] = text.split('\r\n').map((line) => line.split(','));
  return { id, row: await row(), csv: Object.fromEntries(head!.map((name, i) => [name, cells![i]])) };
}

test('nothing waits for a merge that has failed', async () => {
  const { row, csv } = await tables('not-finite', { a: 'good' }, ({ state }) => state === 'failed');
  assert.deepEqual(row.evaluations, { a: { dataset: 'good', state: 'failed' } });
  assert.deepEqual([csv.error, csv['state:a'], csv['accuracy:a']], ['non_finite_weight', 'failed', '']);
});

test('an evaluation that failed is told from one that is to come, and why it failed', async () => {
  const { row, csv } = await tables('two', { a: 'good', b: 'beyond' }, ({ evaluations }) =>
    Object.values(evaluations).every(({ state }) => state === 'succeeded' || state === 'failed'),
  );
  assert.equal(row.evaluations.b!.error!.code, 'label_out_of_range');
  assert.deepEqual(
    [csv.state, csv['state:a'], csv['accuracy:a'], csv['state:b'], csv['accuracy:b'], csv.error],
    ['succeeded', 'succeeded', String(row.evaluations.a!.accuracy), 'failed', '', 'label_out_of_range'],
  );
  assert.equal(csv.average_accuracy, '');
});

test('the average is that of the tasks that were to be evaluated', async () => {
  const { row } = await tables('two', { a: 'good' }, ({ evaluations }) => evaluations.a!.state === 'succeeded');
  assert.equal(row.average_accuracy, row.evaluations.a!.accuracy);
});

test('an evaluation whose data set is gone does not wait for ever', async () => {
  assert.equal((await server.upload('short-lived', data(0, 2))).status, 201);
  const { id } = await tables('two', { a: 'short-lived' }, ({ evaluations }) => evaluations.a!.state === 'failed');
  await server.expect(204, 'DELETE', '/v1/checkpoints/short-lived');
  const { items } = await server.expect(200, 'GET', `/v1/batches/${id}/results`);
  const { state, error } = (items as unknown as [ResultRow])[0].evaluations.a!;
  assert.deepEqual([state, error!.code, error!.checkpoint], ['refused', 'unknown_checkpoint', 'short-lived']);
});

test('evaluations that were computed for a merge that was deleted since count for the same merge', async () => {
  const isDone = ({ evaluations }: ResultRow) => evaluations.b!.state === 'succeeded';
  const { row } = await tables('two', { b: 'good' }, isDone);
  await server.expect(204, 'DELETE', `/v1/merges/${row.merge}`);
  const again = await tables('two', { b: 'good' }, isDone);
  assert.deepEqual(again.row, row);
  const { items } = await server.expect(200, 'GET', `/v1/merges/${row.merge}/evaluations`);
  assert.equal((items as unknown[]).length, 1);
});
