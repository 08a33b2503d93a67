/** Fisher and RegMean over HTTP: statistics are checkpoints, and what does not fit is refused before or at the merge. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { floatsOf, readSafetensors, singleFile } from '../helpers/model-files.js';
import { f32, type TestTensor } from '../helpers/safetensors-file.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const add = async (name: string, tensors: readonly TestTensor[]) => {
  assert.equal((await server.upload(name, singleFile(tensors))).status, 201);
};

await add('base', [f32('w', [0, 0, 0, 0, 0, 0], [3, 2]), f32('b', [0, 0, 0])]);
await add('one', [f32('w', [1, 2, 3, 4, 5, 6], [3, 2]), f32('b', [1, 1, 1])]);
await add('two', [f32('w', [3, 2, 1, 0, 5, 6], [3, 2]), f32('b', [3, 3, 3])]);
await add('fisher-one', [f32('w', [1, 1, 1, 1, 1, 1], [3, 2]), f32('b', [3, 1, 0])]);
await add('fisher-two', [f32('w', [1, 1, 1, 3, 1, 1], [3, 2]), f32('b', [1, 1, 0])]);
await add('gram-one', [f32('w', [2, 0, 0, 1], [2, 2])]);
await add('gram-two', [f32('w', [1, 0, 0, 4], [2, 2])]);
const bad: Record<string, TestTensor[]> = {
  'no-bias': [f32('w', [1, 1, 1, 1, 1, 1], [3, 2])],
  flat: [f32('w', [1, 1, 1, 1, 1, 1]), f32('b', [1, 1, 1])],
  negative: [f32('w', [1, 1, 1, 1, -1, 1], [3, 2]), f32('b', [1, 1, 1])],
  infinite: [f32('w', [1, 1, 1, 1, 1, 1], [3, 2]), f32('b', [1, Infinity, 1])],
  nan: [f32('w', [1, 1, 1, 1, 1, 1], [3, 2]), f32('b', [1, 1, Number.NaN])],
  zero: [f32('w', [0, 0, 0, 0, 0, 0], [3, 2]), f32('b', [0, 0, 0])],
  'gram-wide': [f32('w', new Array(25).fill(1), [5, 5])],
  'gram-outputs': [f32('w', [1, 0, 0, 0, 1, 0, 0, 0, 1], [3, 3])],
  'gram-nan': [f32('w', [1, 0, Number.NaN, 1], [2, 2])],
  'gram-skewed': [f32('w', [1, 0.5, 0, 4], [2, 2])],
  'gram-negative': [f32('w', [1, 0, 0, -0.7], [2, 2])],
  'gram-beyond': [f32('w', [1, 2.1, 2.1, 4], [2, 2])],
  'gram-zero': [f32('w', [1, 0, 0, 0], [2, 2])],
  unrelated: [f32('other', [1], [1, 1])],
};
for (const [name, tensors] of Object.entries(bad)) await add(`bad-${name}`, tensors);

const tasks = [
  { name: 't1', checkpoint: 'one' },
  { name: 't2', checkpoint: 'two' },
];
const request = (type: string, first: string, second: string, more: Json = {}) => ({
  base: 'base',
  tasks,
  method: { type, statistics: { t1: first, t2: second }, ...more },
});
const modelOf = async (id: string) => {
  const response = await server.call('GET', `/v1/merges/${id}/model.safetensors`);
  return readSafetensors(Buffer.from(await response.arrayBuffer()));
};

test('fisher weighs every element by the diagonals', async () => {
  const merge = await server.merge(request('fisher', 'fisher-one', 'fisher-two', { normalise: false }));
  assert.equal(merge.state, 'succeeded');
  const model = await modelOf(merge.id);
  assert.deepEqual([...floatsOf(model.get('w')!)], [2, 2, 2, 1, 5, 6]);
  assert.deepEqual([...floatsOf(model.get('b')!)], [1.5, 2, 2]);
  const report = await server.expect(200, 'GET', `/v1/merges/${merge.id}/report`);
  const { distances } = (report.tasks as Record<string, { distances: Json }>).t1!;
  assert.equal(distances.merged, 1 + 0 + 1 + 9 + 0 + 0 + 0.25 + 1 + 1);
});

test('regmean solves linear layers and averages the rest', async () => {
  const merge = await server.merge(request('regmean', 'gram-one', 'gram-two'));
  assert.equal(merge.state, 'succeeded');
  const model = await modelOf(merge.id);
  // Diagonal matrices weigh columns: (2·w1 + w2)/3 and (w1 + 4·w2)/5.
  const expected = [(2 * 1 + 3) / 3, (2 + 4 * 2) / 5, (2 * 3 + 1) / 3, (4 + 0) / 5, 5, 6];
  for (const [i, value] of floatsOf(model.get('w')!).entries()) assert.ok(Math.abs(value - expected[i]!) < 1e-6);
  assert.deepEqual([...floatsOf(model.get('b')!)], [2, 2, 2]);
});

test('a Gram matrix that rounding has changed is one all the same', async () => {
  const half = (dtype: 'BF16' | 'F16', ...bits: number[]): TestTensor[] => {
    return [{ name: 'w', dtype, shape: [2, 2], data: new Uint8Array(Uint16Array.from(bits).buffer) }];
  };
  // 1 on the diagonal and the next number beside it.
  await add('rounded', half('BF16', 0x3f80, 0x3f81, 0x3f81, 0x3f80));
  // Of x = (1e-5, 1): the square of the first is 0 in F16, its product with the second is not.
  await add('vanished', half('F16', 0, 0xa8, 0xa8, 0x3c00));
  for (const name of ['rounded', 'vanished']) {
    assert.equal((await server.merge(request('regmean', 'gram-one', name))).state, 'succeeded', name);
  }
});

test('tensors without elements need no norm', async () => {
  await add('nothing', [f32('w', [], [0, 2])]);
  const { state, error } = await server.merge({
    base: 'nothing',
    tasks: [{ name: 't1', checkpoint: 'nothing' }],
    method: { type: 'fisher', statistics: { t1: 'nothing' } },
  });
  assert.equal(state, 'succeeded', JSON.stringify(error));
});

test('the plan counts what is read, and other statistics are another merge', async () => {
  const plan = await server.expect(200, 'POST', '/v1/merges/plan', {
    json: request('fisher', 'fisher-one', 'fisher-two'),
  });
  // Norms of two diagonals of 9 elements; then base, tasks and diagonals.
  assert.equal(plan.input_bytes, 9 * 4 * (2 + 5));
  const [a, b] = [
    await server.merge(request('fisher', 'fisher-one', 'fisher-two')),
    await server.merge(request('fisher', 'fisher-two', 'fisher-one')),
  ];
  assert.notEqual(a.id, b.id);
  await server.expect(200, 'POST', '/v1/merges', { json: request('fisher', 'fisher-one', 'fisher-two') });
});

test('statistics that do not fit are refused before anything is stored, with every misfit', async () => {
  const cases: [Json, string[], (string | undefined)[]][] = [
    [request('fisher', 'bad-no-bias', 'fisher-two'), ['t1'], ['b']],
    [request('fisher', 'bad-flat', 'bad-no-bias'), ['t2', 't1'], ['b', 'w']],
    [request('regmean', 'bad-gram-wide', 'gram-two'), ['t1'], ['w']],
    [request('regmean', 'gram-one', 'bad-unrelated'), ['t2'], ['w']],
    // Each fits a side of w [3, 2], but not the same.
    [request('regmean', 'gram-one', 'bad-gram-outputs'), ['t2'], ['w']],
    [request('regmean', 'bad-gram-outputs', 'gram-one'), ['t2'], ['w']],
    [
      {
        ...request('fisher', 'fisher-one', 'fisher-two'),
        method: { type: 'fisher', statistics: { t1: 'fisher-one' } },
      },
      ['t2'],
      [undefined],
    ],
    [
      {
        base: 'base',
        tasks,
        method: { type: 'dare', inner: { type: 'regmean', statistics: { t1: 'gram-one', t2: 'bad-gram-wide' } } },
      },
      ['t2'],
      ['w'],
    ],
  ];
  for (const [json, wantedTasks, wantedTensors] of cases) {
    const problem = await server.refuse('statistics_mismatch', 422, 'POST', '/v1/merges', { json });
    const conflicts = problem.conflicts as { task?: string; tensor?: string }[];
    assert.deepEqual(
      conflicts.map(({ task }) => task),
      wantedTasks,
    );
    assert.deepEqual(
      conflicts.map(({ tensor }) => tensor),
      wantedTensors,
    );
  }
  const none = request('regmean', 'bad-unrelated', 'bad-unrelated');
  await server.refuse('statistics_mismatch', 422, 'POST', '/v1/merges', { json: none });
  await server.refuse('unknown_checkpoint', 404, 'POST', '/v1/merges', {
    json: request('fisher', 'nowhere', 'fisher-two'),
  });
  const stranger = { ...request('fisher', 'fisher-one', 'fisher-two') };
  stranger.method = { type: 'fisher', statistics: { t1: 'fisher-one', t2: 'fisher-two', t3: 'fisher-two' } as never };
  await server.refuse('statistics_mismatch', 422, 'POST', '/v1/merges', { json: stranger });
});

test('what the values of statistics show ends the merge, named, and leaves no artifact', async () => {
  const cases: [Json, string, Json][] = [
    [
      request('fisher', 'fisher-one', 'bad-negative'),
      'invalid_statistic',
      { checkpoint: 'bad-negative', task: 't2', tensor: 'w', index: 4 },
    ],
    [
      request('fisher', 'bad-infinite', 'fisher-two', { normalise: false }),
      'invalid_statistic',
      { checkpoint: 'bad-infinite', tensor: 'b', index: 1 },
    ],
    [
      request('fisher', 'bad-infinite', 'fisher-two'),
      'invalid_statistic',
      { checkpoint: 'bad-infinite', task: 't1', tensor: 'b', index: 1 },
    ],
    [
      request('fisher', 'fisher-one', 'bad-nan'),
      'invalid_statistic',
      { checkpoint: 'bad-nan', task: 't2', tensor: 'b', index: 2 },
    ],
    [request('fisher', 'bad-zero', 'fisher-two'), 'invalid_statistic', { task: 't1' }],
    [
      request('regmean', 'gram-one', 'bad-gram-nan'),
      'invalid_statistic',
      { checkpoint: 'bad-gram-nan', tensor: 'w', index: 2 },
    ],
    [
      request('regmean', 'gram-one', 'bad-gram-skewed'),
      'invalid_statistic',
      { checkpoint: 'bad-gram-skewed', task: 't2', tensor: 'w', index: 2 },
    ],
    [
      request('regmean', 'gram-one', 'bad-gram-negative'),
      'invalid_statistic',
      { checkpoint: 'bad-gram-negative', task: 't2', tensor: 'w', index: 3 },
    ],
    [
      request('regmean', 'gram-one', 'bad-gram-beyond', { reduce: 0 }),
      'invalid_statistic',
      { checkpoint: 'bad-gram-beyond', task: 't2', tensor: 'w', index: 2 },
    ],
    [request('regmean', 'bad-gram-zero', 'bad-gram-zero'), 'singular_gram', { tensor: 'w', row: 1 }],
  ];
  for (const [json, code, facts] of cases) {
    const { id, state, error } = await server.merge(json);
    assert.equal(state, 'failed', JSON.stringify(json));
    for (const [name, value] of Object.entries({ code, ...facts })) assert.deepEqual(error![name], value, name);
    assert.deepEqual(
      (await server.stored()).filter((file) => file.includes(`merges/${id}/a/`)),
      [],
    );
  }
});

test('a parameter that no method has, or that does not fit the tasks, is refused', async () => {
  const cases: [Json, 'invalid_request' | 'merge_conflict', number][] = [
    [{ type: 'ties', dialect: 'mine' }, 'invalid_request', 400],
    [{ type: 'ties', density: 1.5 }, 'invalid_request', 400],
    [{ type: 'ties', weights: { t1: 1 } }, 'merge_conflict', 422],
    [{ type: 'ties', dialect: 'peft', weights: { t9: 1 } }, 'merge_conflict', 422],
    [{ type: 'dare', inner: { type: 'emr' } }, 'invalid_request', 400],
    [{ type: 'dare', drop_rate: -0.1 }, 'invalid_request', 400],
    [{ type: 'dare', inner: { type: 'average', weights: { t1: 1 } } }, 'merge_conflict', 422],
    [{ type: 'fisher' }, 'invalid_request', 400],
    [{ type: 'adamerging', coefficients: { t1: 1 } }, 'merge_conflict', 422],
    [{ type: 'adamerging', coefficients: { t1: 1, t2: { w: 1 } } }, 'merge_conflict', 422],
    [{ type: 'slerp' }, 'invalid_request', 400],
  ];
  for (const [method, code, status] of cases) {
    await server.refuse(code, status, 'POST', '/v1/merges', { json: { base: 'base', tasks, method } });
  }
});
