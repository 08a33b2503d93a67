/** A sweep with evaluations over the digits: the shape of the paper's Table 14 in one call. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TASKS } from '../../examples/digits/tasks.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { type Json, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());

const tasks = TASKS.slice(0, 2).map(({ name }) => ({ name, checkpoint: name }));
const evaluate = Object.fromEntries(tasks.map(({ name }) => [name, `${name}-test`]));
const sweep = {
  template: { base: 'base', tasks, exclude: ['head.*'] },
  grid: { methods: [{ type: 'emr' }, { type: 'task_arithmetic', lambda: [0.1, 0.5] }] },
  evaluate,
};

before(async () => {
  await server.upload('base', await digitsFolder('base'));
  for (const task of TASKS.slice(0, 2)) {
    await server.upload(task.name, await digitsFolder(task.name));
    await server.upload(`${task.name}-test`, datasetFolder(await digitsTest(task, 200)));
  }
});

interface Row {
  readonly merge: string;
  readonly method: Json;
  readonly state: string;
  readonly evaluations: Record<string, { state: string; accuracy?: number }>;
  readonly average_accuracy?: number;
  readonly distance?: number;
  readonly bytes?: number;
}
const results = async (id: unknown) =>
  (await server.expect(200, 'GET', `/v1/batches/${id}/results`)).items as unknown as Row[];
const areDone = (rows: Row[]) => rows.every((row) => row.average_accuracy !== undefined);
const jobs = async () => (await server.expect(200, 'GET', '/v1/jobs')).items as Json[];

test('a sweep merges and evaluates everything, over a restart, and each thing once', async () => {
  const { id, merges } = await server.expect(202, 'POST', '/v1/batches', { json: sweep });
  assert.equal((merges as Json[]).length, 3);
  await server.restart();
  await until('all is evaluated', async () => areDone(await results(id)));
  const rows = await results(id);
  assert.deepEqual(
    rows.map(({ method }) => [method.type, method.lambda]),
    [
      ['emr', undefined],
      ['task_arithmetic', 0.1],
      ['task_arithmetic', 0.5],
    ],
  );
  for (const row of rows) {
    assert.equal(row.state, 'succeeded');
    const found = tasks.map(({ name }) => row.evaluations[name]!.accuracy!);
    assert.equal(row.average_accuracy, (found[0]! + found[1]!) / 2);
    assert.ok(row.distance! > 0 && row.bytes! > 0);
    const { items } = await server.expect(200, 'GET', `/v1/merges/${row.merge}/evaluations`);
    const kept = (items as Json[]).map(({ task, accuracy }) => [task, accuracy]).sort();
    assert.deepEqual(kept, tasks.map(({ name }, t) => [name, found[t]]).sort());
    const report = await server.expect(200, 'GET', `/v1/merges/${row.merge}/report`);
    assert.deepEqual(report.evaluations, items);
  }
  assert.equal((await jobs()).length, 6);
  const again = await server.expect(202, 'POST', '/v1/batches', { json: sweep });
  assert.equal(again.id, id, 'the same sweep is the same batch');
  assert.equal((await jobs()).length, 6);
  assert.deepEqual(await results(id), rows);

  const response = await server.call('GET', `/v1/batches/${id}/results?format=csv`);
  assert.match(response.headers.get('content-type')!, /^text\/csv/);
  const table = (await response.text()).split('\r\n').map((line) => line.split(','));
  const column = (name: string) => table.slice(1, -1).map((line) => line[table[0]!.indexOf(name)]);
  assert.deepEqual(column('method'), ['emr', 'task_arithmetic', 'task_arithmetic']);
  assert.deepEqual(column('lambda'), ['', '0.1', '0.5']);
  assert.deepEqual(
    column('average_accuracy'),
    rows.map((row) => String(row.average_accuracy)),
  );
  assert.deepEqual(column(`accuracy:${tasks[0]!.name}`).length, 3);
});

test('the page of a merge that was evaluated shows it', async () => {
  const { items } = await server.expect(200, 'GET', '/v1/merges');
  const page = await (await server.call('GET', `/v1/merges/${(items as Json[])[0]!.id}/report?format=html`)).text();
  assert.match(page, /<h2>Evaluations<\/h2>/);
});

test('an evaluation that cannot be is refused with the whole batch', async () => {
  const stored = await server.stored();
  const other = { ...sweep, template: { ...sweep.template, strict: false, exclude: ['head.weight', 'head.bias'] } };
  for (const [plan, code] of [
    [{ nobody: evaluate[tasks[0]!.name] }, 'unknown_task'],
    [{ [tasks[0]!.name]: 'nothing' }, 'unknown_checkpoint'],
    [{ [tasks[0]!.name]: 'base' }, 'dataset_invalid'],
  ] as const) {
    const problem = await server.refuse('batch_refused', 422, 'POST', '/v1/batches', {
      json: { ...other, evaluate: plan },
    });
    const codes = (problem.refusals as { code: string }[]).map((one) => one.code);
    assert.deepEqual(codes, [code, code, code]);
  }
  await server.refuse('invalid_request', 400, 'POST', '/v1/batches', {
    json: { ...other, grid: { methods: [{ type: 'task_arithmetic', lambda: ['x'] }] } },
  });
  assert.deepEqual(await server.stored(), stored);
});
