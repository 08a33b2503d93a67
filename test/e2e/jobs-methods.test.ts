/** What jobs compute is what the data-driven methods take: from fine-tunes and data sets to an evaluated merge. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TASKS } from '../../examples/digits/tasks.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { runJob } from '../helpers/jobs.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const EXAMPLES = 40;
const used = TASKS.slice(0, 3);
const tasks = used.map(({ name }) => ({ name, checkpoint: name }));
const learners = used.map(({ name }) => ({ name, checkpoint: name, dataset: `${name}-data` }));

before(async () => {
  await server.upload('base', await digitsFolder('base'));
  for (const task of used) {
    await server.upload(task.name, await digitsFolder(task.name));
    await server.upload(`${task.name}-data`, datasetFolder(await digitsTest(task, EXAMPLES)));
  }
});

/** Merges, and the mean accuracy of the tasks. */
async function accuracyOf(name: string, method: Json): Promise<number> {
  const merge = await server.merge({ name, base: 'base', tasks, method });
  assert.equal(merge.state, 'succeeded', JSON.stringify(merge.error));
  let sum = 0;
  for (const task of used) {
    const model = { merge: name, task: task.name };
    sum += (await runJob(server, { type: 'evaluate', model, dataset: `${task.name}-data` })).result!.accuracy as number;
  }
  return sum / used.length;
}

for (const [type, kind] of [
  ['fisher', 'fisher'],
  ['regmean', 'gram'],
] as const) {
  test(`${type} merges by the statistics of ${kind} jobs`, async () => {
    const statistics: Record<string, string> = {};
    for (const task of used) {
      statistics[task.name] = `${task.name}-${kind}`;
      const from = { checkpoint: task.name, dataset: `${task.name}-data`, output: statistics[task.name] };
      await runJob(server, { type: kind, ...from, ...(kind === 'fisher' ? { labels: 'sampled' } : {}) });
    }
    const accuracy = await accuracyOf(type, { type, statistics });
    assert.ok(accuracy > 0.3, `chance is 0.1: ${accuracy}`);
  });
}

for (const options of [{}, { granularity: 'layer', trimmed: { density: 0.3 } }]) {
  test(`adamerging merges by its job's coefficients, and is then as sure as the job said: ${JSON.stringify(options)}`, async () => {
    const job = { type: 'adamerging', base: 'base', tasks: learners, steps: 30, learning_rate: 0.01, ...options };
    const { coefficients, entropy } = (await runJob(server, job)).result!;
    const name = `ada-${Object.keys(options).length}`;
    const trimmed = 'trimmed' in options ? { trimmed: options.trimmed } : {};
    assert.ok((await accuracyOf(name, { type: 'adamerging', coefficients, ...trimmed })) > 0.3);
    // With a coefficient of 1 a job measures the model that it is given: here the one that was merged.
    let sum = 0;
    for (const { name: task, dataset } of learners) {
      const file = await server.call('GET', `/v1/merges/${name}/tasks/${task}/model.safetensors`);
      const folder = { ...(await digitsFolder(task)), 'model.safetensors': new Uint8Array(await file.arrayBuffer()) };
      assert.equal((await server.upload(`${name}-${task}`, folder)).status, 201);
      const asked = { type: 'adamerging', base: 'base', steps: 1, initial: 1 };
      const measured = await runJob(server, {
        ...asked,
        tasks: [{ name: task, checkpoint: `${name}-${task}`, dataset }],
      });
      sum += (measured.result!.entropy as { before: number }).before;
    }
    const { after: told } = entropy as { after: number };
    assert.ok(Math.abs(sum / learners.length - told) <= 1e-4 * told, `${sum / learners.length}, not ${told}`);
  });
}

test('the steps of EMR are evaluated apart', async () => {
  await server.merge({ name: 'emr', base: 'base', tasks, method: { type: 'emr' } });
  const accuracies = [];
  for (const steps of ['elect', 'mask', 'rescale']) {
    const model = { merge: 'emr', task: 'mnist', steps };
    accuracies.push((await runJob(server, { type: 'evaluate', model, dataset: 'mnist-data' })).result!.loss);
  }
  assert.equal(new Set(accuracies).size, 3);
  const { items } = await server.expect(200, 'GET', '/v1/merges/emr/evaluations');
  assert.deepEqual((items as Json[]).map(({ steps }) => steps).sort(), ['elect', 'mask', 'rescale']);
});
