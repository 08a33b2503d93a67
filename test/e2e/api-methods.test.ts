import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { family, floatsOf, readSafetensors, singleFile } from '../helpers/model-files.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const models = family(3);
await server.upload('base', singleFile(models.base));
for (const [t, task] of models.tasks.entries()) await server.upload(`ft-${t}`, singleFile(task));
const tasks = models.tasks.map((_, t) => ({ name: `t${t}`, checkpoint: `ft-${t}` }));

const download = async (id: string, path: string) => {
  const response = await server.call('GET', `/v1/merges/${id}/${path}`);
  const body = Buffer.from(await response.arrayBuffer());
  assert.equal(response.status, 200, body.toString('utf8', 0, 300));
  return readSafetensors(body);
};
const run = async (request: Json) => {
  const merge = await server.merge({ base: 'base', tasks, ...request });
  assert.equal(merge.state, 'succeeded', JSON.stringify(merge.error));
  return merge.id;
};
const values = (tensors: (typeof models)['base'], name: string) =>
  floatsOf({ bytes: tensors.find((tensor) => tensor.name === name)!.data! });

/** Equal but for the rounding of a few f32 operations. */
function close(actual: Float32Array, expected: number[], what: string): void {
  assert.equal(actual.length, expected.length, what);
  for (const [i, value] of actual.entries()) {
    assert.ok(Math.abs(value - expected[i]!) <= 1e-6 * Math.max(1, Math.abs(expected[i]!)), `${what} ${i}`);
  }
}

const MERGED = ['layers.0.bias', 'layers.0.weight', 'scale'];
type Formula = (base: number, tuned: number[], tensor: string) => number;
const methods: [string, Json, Formula][] = [
  ['average', { type: 'average' }, (_, tuned) => tuned.reduce((sum, value) => sum + value, 0) / 3],
  ['average by weights', { type: 'average', weights: { t0: 1, t1: 0, t2: 3 } }, (_, [a, , c]) => (a! + 3 * c!) / 4],
  [
    'task arithmetic',
    { type: 'task_arithmetic' },
    (base, tuned) => base + 0.3 * tuned.reduce((sum, value) => sum + value - base, 0),
  ],
  [
    'task arithmetic with coefficients of tasks and layers',
    { type: 'task_arithmetic', lambda: 0.5, lambdas: { t1: -1 }, layers: [{ pattern: '*.bias', lambda: 2 }] },
    (base, [a, b, c], tensor) =>
      base + (tensor.endsWith('bias') ? 2 : 1) * (0.5 * (a! - base) - (b! - base) + 0.5 * (c! - base)),
  ],
];

for (const [title, method, formula] of methods) {
  test(`${title}: one model by its formula, the rest as in the base`, async () => {
    const id = await run({ method, exclude: ['head.*'] });
    const model = await download(id, 'model.safetensors');
    assert.deepEqual([...model.keys()].sort(), models.base.map((tensor) => tensor.name).sort());
    for (const name of MERGED) {
      const base = values(models.base, name);
      const tuned = models.tasks.map((task) => values(task, name));
      const expected = [...base].map((weight, i) =>
        formula(
          weight,
          tuned.map((task) => task[i]!),
          name,
        ),
      );
      close(floatsOf(model.get(name)!), expected, name);
    }
    for (const { name, dtype, shape, data } of models.base) {
      assert.deepEqual([model.get(name)!.dtype, model.get(name)!.shape], [dtype, shape], name);
      if (['head.weight', 'steps', 'position_ids'].includes(name)) {
        assert.deepEqual(model.get(name)!.bytes, Buffer.from(data!), name);
      }
    }
  });

  test(`${title}: each task has the one body and its own head`, async () => {
    const { id } = await server.expect(200, 'POST', '/v1/merges', {
      json: { base: 'base', tasks, method, exclude: ['head.*'] },
    });
    const model = await download(id as string, 'model.safetensors');
    for (const [t, task] of models.tasks.entries()) {
      const own = await download(id as string, `tasks/t${t}/model.safetensors`);
      assert.deepEqual([...own.keys()].sort(), task.map((tensor) => tensor.name).sort());
      for (const name of MERGED) assert.deepEqual(own.get(name)!.bytes, model.get(name)!.bytes, name);
      for (const name of ['head.weight', 'adapter', 'steps']) {
        assert.deepEqual(own.get(name)!.bytes, Buffer.from(task.find((tensor) => tensor.name === name)!.data!), name);
      }
    }
    const path = `/v1/merges/${id}/tasks/t0/model.safetensors?rescaler=l2`;
    await server.refuse('not_for_this_method', 409, 'GET', path);
  });
}

test('u in BF16 or F16 has the masks of u in F32', async () => {
  const full = await run({});
  const exact = await download(full, 'files/unified.safetensors');
  for (const dtype of ['BF16', 'F16']) {
    const half = await run({ dtype });
    const rounded = await download(half, 'files/unified.safetensors');
    assert.deepEqual([...rounded.keys()].sort(), [...exact.keys()].sort());
    for (const [name, tensor] of rounded) {
      assert.deepEqual([tensor.dtype, tensor.shape], [dtype, exact.get(name)!.shape], name);
    }
    for (const { name } of tasks) {
      const path = `files/tasks/${name}/mask.safetensors`;
      assert.deepEqual(await download(half, path), await download(full, path));
    }
  }
});

test('all engines make the same u and masks, and figures that differ by rounding at most', async () => {
  const [simd, ...others] = await Promise.all(
    ['simd', 'scalar', 'tfjs'].map((engine) => run({ engine, include: ['layers.*', 'scale'] })),
  );
  const report = async (id: string) =>
    (await server.expect(200, 'GET', `/v1/merges/${id}/report`)).tasks as Record<
      string,
      { rescalers: Record<string, number> }
    >;
  for (const other of others) {
    for (const path of ['unified.safetensors', ...tasks.map((task) => `tasks/${task.name}/mask.safetensors`)]) {
      assert.deepEqual(await download(other, `files/${path}`), await download(simd!, `files/${path}`), path);
    }
    const [expected, actual] = [await report(simd!), await report(other)];
    for (const { name } of tasks) {
      for (const [kind, value] of Object.entries(expected[name]!.rescalers)) {
        assert.ok(Math.abs(actual[name]!.rescalers[kind]! - value) <= 1e-6 * Math.abs(value), `${name} ${kind}`);
      }
    }
  }
});

test('the methods describe themselves', async () => {
  const { items } = (await server.expect(200, 'GET', '/v1/methods')) as { items: Json[] };
  assert.deepEqual(items.map((item) => item.type).sort(), [
    'adamerging',
    'average',
    'dare',
    'emr',
    'fisher',
    'regmean',
    'task_arithmetic',
    'ties',
  ]);
  for (const item of items) {
    assert.match(item.paper as string, /^https:\/\/arxiv\.org\/abs\//);
    assert.equal((item.parameters as Json).type, 'object');
  }
});
