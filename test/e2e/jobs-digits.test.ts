/** The digits example's checkpoints run through the service as they run without it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startBackend } from '../../examples/digits/backend.js';
import { evaluateTask } from '../../examples/digits/evaluate.js';
import { describeTopology } from '../../examples/digits/model.js';
import { CHECKPOINTS } from '../../examples/digits/places.js';
import { TASKS } from '../../examples/digits/tasks.js';
import { decodeWeights } from '../../examples/digits/tensor-files.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { runJob } from '../helpers/jobs.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

before(async () => {
  await startBackend();
  await server.upload('base', await digitsFolder('base'));
  for (const task of TASKS) {
    await server.upload(task.name, await digitsFolder(task.name));
    await server.upload(`${task.name}-test`, datasetFolder(await digitsTest(task)));
  }
});

test("every checkpoint's model.json is its network's topology", async () => {
  for (const [name, classes] of [['base', 20], ...TASKS.map((task) => [task.name, 10] as const)] as const) {
    const committed = await readFile(join(CHECKPOINTS, name, 'model.json'), 'utf8');
    assert.deepEqual(JSON.parse(committed), describeTopology(classes), name);
  }
});

test('the service finds the accuracy of each fine-tune that the example finds', async () => {
  for (const task of TASKS) {
    const weights = decodeWeights(await readFile(join(CHECKPOINTS, task.name, 'model.safetensors')));
    const { accuracy, n } = await evaluateTask(task, weights);
    const model = { checkpoint: task.name };
    const { result } = await runJob(server, { type: 'evaluate', model, dataset: `${task.name}-test` });
    assert.deepEqual([result!.accuracy, result!.n], [accuracy, n], task.name);
  }
});

test("a merge's models are evaluated as they are downloaded, and the merge keeps it", async () => {
  const tasks = TASKS.map(({ name }) => ({ name, checkpoint: name }));
  const asked: Json[] = [];
  for (const type of ['emr', 'average']) {
    assert.equal((await server.merge({ name: type, base: 'base', tasks, method: { type } })).state, 'succeeded');
    for (const task of TASKS.slice(0, 2)) {
      for (const rendering of type === 'emr' ? [{}, { rescaler: 'l2', scope: 'tensor' }] : [{}]) {
        const query = new URLSearchParams(rendering);
        const path = `/v1/merges/${type}/tasks/${task.name}/model.safetensors?${query}`;
        const file = new Uint8Array(await (await server.call('GET', path)).arrayBuffer());
        const { accuracy } = await evaluateTask(task, decodeWeights(file));
        const model = { merge: type, task: task.name, ...rendering };
        const { id, result } = await runJob(server, { type: 'evaluate', model, dataset: `${task.name}-test` });
        assert.equal(result!.accuracy, accuracy, path);
        asked.push({ job: id, task: task.name, accuracy, ...rendering });
      }
    }
    const { items } = await server.expect(200, 'GET', `/v1/merges/${type}/evaluations`);
    const kept = (items as Json[]).map(({ job, task, accuracy, rescaler, scope }) => ({
      job,
      task,
      accuracy,
      ...(rescaler ? { rescaler, scope } : {}),
    }));
    const byJob = (a: Json, b: Json) => (String(a.job) < String(b.job) ? -1 : 1);
    assert.deepEqual(kept.sort(byJob), asked.splice(0).sort(byJob));
  }
});

test('evaluations go with their merge, and come back with it without being computed again', async () => {
  const { items } = await server.expect(200, 'GET', '/v1/merges/average/evaluations');
  const [{ job }] = items as [Json];
  const { request } = await server.expect(200, 'GET', '/v1/merges/average');
  await server.expect(204, 'DELETE', '/v1/merges/average');
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/average/evaluations');
  await server.merge(request as Json);
  assert.deepEqual(await server.expect(200, 'GET', '/v1/merges/average/evaluations'), { items: [] });
  const known = await server.expect(200, 'GET', `/v1/jobs/${job}`);
  const again = await server.expect(200, 'POST', '/v1/jobs', { json: known.request });
  assert.deepEqual(again, known);
  const back = (await server.expect(200, 'GET', '/v1/merges/average/evaluations')).items as Json[];
  assert.deepEqual(
    back.map((one) => one.job),
    [job],
  );
});
