import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { MAX_TASKS } from '../../src/merge/max-tasks.js';
import { family, integers, randomTensor, singleFile } from '../helpers/model-files.js';
import { f32 } from '../helpers/safetensors-file.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const models = family(2);
await server.upload('base', singleFile(models.base));
await server.upload('a', singleFile(models.tasks[0]!));
await server.upload('b', singleFile(models.tasks[1]!));
const tasks = [
  { name: 'a', checkpoint: 'a' },
  { name: 'b', checkpoint: 'b' },
];

interface Plan {
  tensors: { name: string; class: string; reason?: string; dtype: string; shape: number[] }[];
  conflicts: { kind: string; tensor?: string; task?: string; detail: string }[];
  warnings: string[];
  files: { path: string; bytes: number }[];
  input_bytes: number;
  output_bytes: number;
  memory_bytes: number;
  parameters: number;
}
const planOf = async (json: Json) => (await server.expect(200, 'POST', '/v1/merges/plan', { json })) as unknown as Plan;

test('a plan gives each tensor its class, and stores nothing', async () => {
  const before = await server.stored();
  const plan = await planOf({ base: 'base', tasks });
  const classes = Object.fromEntries(plan.tensors.map((tensor) => [tensor.name, [tensor.class, tensor.reason]]));
  assert.deepEqual(classes, {
    adapter: ['task_specific', 'not_in_base'],
    'head.weight': ['task_specific', 'shape_mismatch'],
    'layers.0.bias': ['merged', undefined],
    'layers.0.weight': ['merged', undefined],
    'layers.1.weight': ['merged', undefined],
    'layers.2.weight': ['merged', undefined],
    nothing: ['merged', undefined],
    position_ids: ['base_shared', 'not_float'],
    scale: ['merged', undefined],
    steps: ['task_specific', 'values_differ'],
  });
  assert.deepEqual(plan.conflicts, []);
  assert.ok(plan.warnings.length > 0, 'what is kept without being excluded is told');
  assert.equal(plan.parameters, 53 + 37 * 53 + 16 * 33 + 129 + 1);
  assert.equal(plan.input_bytes, 3 * (4 * (53 + 37 * 53 + 1) + 2 * (16 * 33 + 129)));
  assert.equal(
    plan.output_bytes,
    plan.files.reduce((sum, file) => sum + file.bytes, 0),
  );
  assert.ok(plan.memory_bytes > 0);
  assert.deepEqual(await server.stored(), before);
});

test('strict lists every conflict at once, and the merge is refused with the same list', async () => {
  const json = { base: 'base', tasks, strict: true };
  const { conflicts } = await planOf(json);
  assert.deepEqual(
    conflicts.map(({ kind, tensor, task }) => [kind, tensor, task]),
    [
      ['not_in_base', 'adapter', 'a'],
      ['not_in_base', 'adapter', 'b'],
      ['shape_mismatch', 'head.weight', 'a'],
      ['shape_mismatch', 'head.weight', 'b'],
      ['values_differ', 'steps', 'a'],
      ['values_differ', 'steps', 'b'],
    ],
  );
  const before = await server.stored();
  const problem = await server.refuse('merge_conflict', 422, 'POST', '/v1/merges', { json });
  assert.deepEqual(problem.conflicts, conflicts);
  assert.deepEqual(await server.stored(), before);
  const excluded = await planOf({ ...json, exclude: ['adapter', 'head.*', 'steps'] });
  assert.deepEqual(excluded.conflicts, [], 'what is excluded is no conflict');
});

test('a tensor that a task lacks, or has in another kind of number, is a conflict of its own', async () => {
  await server.upload('plain', singleFile([f32('w', [1, 2]), f32('v', [3]), integers('n', [1])]));
  await server.upload('less', singleFile([f32('w', [2, 3]), f32('n', [1])]));
  const { conflicts } = await planOf({ base: 'plain', tasks: [{ name: 'less', checkpoint: 'less' }], strict: true });
  assert.deepEqual(
    conflicts.map(({ kind, tensor }) => [kind, tensor]),
    [['dtype_mismatch', 'n']],
  );
  const tasks = [
    { name: 'less', checkpoint: 'less' },
    { name: 'plain', checkpoint: 'plain' },
  ];
  const two = await planOf({ base: 'plain', tasks, strict: true });
  assert.deepEqual(
    two.conflicts.map(({ kind, tensor, task }) => [kind, tensor, task]),
    [
      ['dtype_mismatch', 'n', 'less'],
      ['missing_in_task', 'v', 'less'],
    ],
  );
});

test('patterns say what is merged', async () => {
  const merged = async (patterns: Json) =>
    (await planOf({ base: 'base', tasks, ...patterns })).tensors
      .filter((tensor) => tensor.class === 'merged')
      .map((tensor) => tensor.name);
  assert.deepEqual(await merged({ include: ['layers.*'] }), [
    'layers.0.bias',
    'layers.0.weight',
    'layers.1.weight',
    'layers.2.weight',
  ]);
  assert.deepEqual(await merged({ include: ['layers.*'], exclude: ['*.weight'] }), ['layers.0.bias']);
  assert.deepEqual(await merged({ include: ['layers.{1,2}.*'] }), ['layers.1.weight', 'layers.2.weight']);
  assert.deepEqual(await merged({ include: ['layers.?.bias', 'scale'] }), ['layers.0.bias', 'scale']);
});

test('nothing to merge is a conflict, also without strict', async () => {
  const json = { base: 'base', tasks, include: ['no.such.tensor'] };
  assert.deepEqual(
    (await planOf(json)).conflicts.map((conflict) => conflict.kind),
    ['nothing_to_merge'],
  );
  await server.refuse('merge_conflict', 422, 'POST', '/v1/merges', { json });
});

test('a method’s parameters have to fit the tasks', async () => {
  for (const method of [
    { type: 'average', weights: { a: 1, c: 1 } },
    { type: 'average', weights: { a: 0, b: 0 } },
    { type: 'task_arithmetic', lambdas: { c: 1 } },
  ]) {
    const { conflicts } = await planOf({ base: 'base', tasks, method });
    assert.ok(conflicts.length > 0 && conflicts.every(({ kind }) => kind === 'method_parameters'), method.type);
    await server.refuse('merge_conflict', 422, 'POST', '/v1/merges', { json: { base: 'base', tasks, method } });
  }
});

test('F64 weights are rounded, and the plan says so', async () => {
  await server.upload('double', singleFile([randomTensor('w', [4], 1, { dtype: 'F64' })]));
  const plan = await planOf({ base: 'double', tasks: [{ name: 'd', checkpoint: 'double' }] });
  assert.match(plan.warnings.join(), /w is F64/);
});

test('every unknown checkpoint is named', async () => {
  const json = { base: 'nobody', tasks: [...tasks, { name: 'x', checkpoint: 'no-one' }] };
  for (const path of ['/v1/merges/plan', '/v1/merges']) {
    const problem = await server.refuse('unknown_checkpoint', 404, 'POST', path, { json });
    assert.deepEqual(problem.checkpoints, ['nobody', 'no-one']);
  }
});

test('what does not fit the schema is refused, unknown fields too', async () => {
  const wrong: Json[] = [
    {},
    { base: 'base' },
    { base: 'base', tasks: [] },
    {
      base: 'base',
      tasks: [
        { name: 'a', checkpoint: 'a' },
        { name: 'a', checkpoint: 'b' },
      ],
    },
    { base: 'base', tasks: [{ name: 'a/b', checkpoint: 'a' }] },
    { base: 'base', tasks: [{ name: 'a', checkpoint: 'a', weight: 1 }] },
    { base: 'base', tasks, colour: 'red' },
    { base: 'base', tasks, dtype: 'F64' },
    { base: 'base', tasks, engine: 'gpu' },
    { base: 'base', tasks, include: 'layers.*' },
    { base: 'base', tasks, exclude: ['x'.repeat(257)] },
    { base: 'base', tasks, method: { type: 'unknown' } },
    { base: 'base', tasks, method: { type: 'emr', lambda: 1 } },
    { base: 'base', tasks, method: { type: 'task_arithmetic', lambda: '1' } },
    { base: 'base', tasks, method: 'emr' },
    {
      base: 'base',
      tasks: Array.from({ length: MAX_TASKS.ceiling + 1 }, (_, i) => ({ name: `t${i}`, checkpoint: 'a' })),
    },
  ];
  for (const json of wrong) {
    for (const path of ['/v1/merges/plan', '/v1/merges']) {
      await server.refuse('invalid_request', 400, 'POST', path, { json });
    }
  }
});
