/** Jobs as a resource: accepted once, listed, followed, cancelled, deleted; and all that is refused. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TASKS } from '../../examples/digits/tasks.js';
import type { ErrorCode } from '../../src/errors.js';
import { datasetFolder, digitsFolder, digitsTest, type Folder } from '../helpers/digits.js';
import { type AnyJob, runJob } from '../helpers/jobs.js';
import { floatsOf, randomTensor, readSafetensors } from '../helpers/model-files.js';
import { f32, safetensorsFile, type TestTensor } from '../helpers/safetensors-file.js';
import { type Json, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());

const EXAMPLES = 64;
const [mnist, fashion] = TASKS.slice(0, 2) as [(typeof TASKS)[0], (typeof TASKS)[0]];
const evaluate = (dataset = 'data', checkpoint = 'mnist') => ({ type: 'evaluate', model: { checkpoint }, dataset });
const adapt = (extra: Json = {}) => ({
  type: 'adamerging',
  base: 'base',
  tasks: [
    { name: 'm', checkpoint: 'mnist', dataset: 'data' },
    { name: 'f', checkpoint: 'fashion', dataset: 'other' },
  ],
  ...extra,
});
/** Runs until somebody stops it. */
const endless = adapt({ steps: 100_000 });

before(async () => {
  for (const name of ['base', 'mnist', 'fashion']) await server.upload(name, await digitsFolder(name));
  await server.upload('data', datasetFolder(await digitsTest(mnist, EXAMPLES)));
  await server.upload('other', datasetFolder(await digitsTest(fashion, EXAMPLES)));
});

const view = async (id: string) => (await server.expect(200, 'GET', `/v1/jobs/${id}`)) as unknown as AnyJob;
const start = async (request: Json) => {
  const { id } = (await server.expect(202, 'POST', '/v1/jobs', { json: request })) as unknown as AnyJob;
  await until('it computes', async () => ((await view(id)).progress?.bytes_done ?? 0) > 0);
  return id;
};

test('the same request is the same job, listed with the newest first, and forgotten on request', async () => {
  const first = await runJob(server, evaluate());
  const again = await server.call('POST', '/v1/jobs', { json: evaluate() });
  assert.equal(again.status, 200);
  assert.equal(again.headers.get('location'), `/v1/jobs/${first.id}`);
  assert.deepEqual(await again.json(), await view(first.id));
  const second = await runJob(server, { ...evaluate(), batch_size: 10 });
  assert.notEqual(second.id, first.id);
  const page = await server.expect(200, 'GET', '/v1/jobs?limit=1');
  assert.deepEqual(
    (page.items as AnyJob[]).map(({ id }) => id),
    [second.id],
  );
  const next = await server.expect(200, 'GET', `/v1/jobs?limit=1&cursor=${page.next_cursor}`);
  assert.deepEqual(
    (next.items as AnyJob[]).map(({ id }) => id),
    [first.id],
  );
  await server.refuse('job_ended', 409, 'POST', `/v1/jobs/${first.id}/cancel`);
  await server.expect(204, 'DELETE', `/v1/jobs/${first.id}`);
  await server.refuse('unknown_job', 404, 'GET', `/v1/jobs/${first.id}`);
  assert.equal((await server.stored()).filter((key) => key.includes(first.id)).length, 0);
});

test('a running job can be cancelled, and asked for again; its checkpoints stay meanwhile', async () => {
  const id = await start(endless);
  await server.refuse('job_running', 409, 'DELETE', `/v1/jobs/${id}`);
  for (const name of ['base', 'mnist', 'data']) {
    await server.refuse('checkpoint_in_use', 409, 'DELETE', `/v1/checkpoints/${name}`);
  }
  const events = server.call('GET', `/v1/jobs/${id}/events`).then((response) => response.text());
  const waiting = (await server.expect(202, 'POST', '/v1/jobs', { json: { ...evaluate(), batch_size: 3 } })).id;
  assert.equal((await view(waiting as string)).state, 'queued');
  assert.equal((await server.expect(200, 'POST', `/v1/jobs/${waiting}/cancel`)).state, 'cancelled');
  const cancelled = await server.expect(200, 'POST', `/v1/jobs/${id}/cancel`);
  assert.equal(cancelled.state, 'cancelled');
  assert.match(await events, /event: progress\n.*event: cancelled\n/s);
  assert.equal(await start(endless), id);
  const late = server.call('GET', `/v1/jobs/${id}/events`).then((response) => response.text().catch(() => 'cut off'));
  await server.expect(200, 'POST', `/v1/jobs/${id}/cancel`);
  await server.expect(204, 'DELETE', `/v1/jobs/${id}`);
  assert.match(await late, /event: cancelled|cut off/, 'a job that is gone has no more events');
  assert.equal((await runJob(server, evaluate())).state, 'succeeded', 'the worker is free again');
});

test('a job that ran when the server stopped is run by the next one', async () => {
  const id = await start(adapt({ steps: 100 }));
  await server.restart();
  await until('it has ended', async () => (await view(id)).state === 'succeeded', 120_000);
});

test('AdaMerging lowers the entropy, alike for a seed, by task and by tensor, trimmed or not', async () => {
  const asked = (extra: Json) => adapt({ steps: 40, learning_rate: 0.01, ...extra });
  const run = async (extra: Json) => (await runJob(server, asked(extra))).result!;
  const byTask = await run({});
  const entropy = byTask.entropy as { before: number; after: number };
  assert.ok(entropy.after < entropy.before, JSON.stringify(entropy));
  assert.deepEqual(Object.keys(byTask.coefficients as Json), ['m', 'f']);
  for (const value of Object.values(byTask.coefficients as Json)) assert.ok((value as number) > 0.3);

  const job = await runJob(server, asked({}));
  await server.expect(204, 'DELETE', `/v1/jobs/${job.id}`);
  assert.deepEqual((await run({})).coefficients, byTask.coefficients, 'computed again');
  assert.notDeepEqual((await run({ seed: 1 })).coefficients, byTask.coefficients);

  const byLayer = await run({ granularity: 'layer', trimmed: { density: 0.2 } });
  const layers = byLayer.coefficients as Record<string, Record<string, number>>;
  const { tensors } = await server.expect(200, 'POST', '/v1/merges/plan', {
    json: { base: 'base', tasks: adapt().tasks.map(({ name, checkpoint }) => ({ name, checkpoint })) },
  });
  const merged = (tensors as Json[]).filter((tensor) => tensor.class === 'merged').map(({ name }) => name);
  for (const task of ['m', 'f']) {
    assert.deepEqual(Object.keys(layers[task]!).sort(), merged.toSorted());
    for (const value of Object.values(layers[task]!)) assert.ok(value >= 0 && value <= 1);
  }
  const after = byLayer.entropy as { before: number; after: number };
  assert.ok(after.after < after.before);
  const some = await run({ granularity: 'layer', include: ['layers.*'] });
  assert.equal(Object.keys((some.coefficients as Record<string, object>).m!).length, 6);
});

test('a checkpoint that a job makes has its name to itself, and is made again once deleted', async () => {
  const request = { type: 'gram', checkpoint: 'mnist', dataset: 'data', output: 'made' };
  const job = await runJob(server, request);
  assert.equal((await server.expect(200, 'GET', '/v1/checkpoints/made')).source, `job:${job.id}`);
  await server.expect(200, 'POST', '/v1/jobs', { json: request });
  await server.refuse('name_taken', 409, 'POST', '/v1/jobs', { json: { ...request, samples: 5 } });
  await server.refuse('name_taken', 409, 'POST', '/v1/jobs', { json: { ...request, output: 'data' } });
  await server.expect(204, 'DELETE', '/v1/checkpoints/made');
  assert.equal((await runJob(server, request)).id, job.id);
  await server.expect(200, 'GET', '/v1/checkpoints/made');
});

const tensor = (name: string, dtype: TestTensor['dtype'], shape: number[], data: Uint8Array): TestTensor => ({
  name,
  dtype,
  shape,
  data,
});
const inputs = (n: number, size = 196) => tensor('x', 'F32', [n, size], new Uint8Array(4 * n * size));
const labels = (...values: number[]) => tensor('y', 'U8', [values.length], Uint8Array.from(values));

test('what headers tell is refused before the job is accepted', async () => {
  const bare: Folder = { 'model.safetensors': (await digitsFolder('mnist'))['model.safetensors']! };
  const folders: Record<string, Folder> = {
    bare,
    'not-json': { ...bare, 'model.json': Buffer.from('{') },
    'no-topology': { ...bare, 'model.json': Buffer.from('{"format":"graph-model"}') },
    deep: {
      ...bare,
      'model.json': Buffer.from(`{"class_name":"Model","config":${'['.repeat(1e6)}${']'.repeat(1e6)}}`),
    },
    twins: {
      ...bare,
      'model.json': topology(layer('Linear', { name: 'l', units: 2 }), layer('Linear', { name: 'l' })),
    },
    'twins-within': {
      ...bare,
      'model.json': topology(
        layer('Sequential', {
          name: 'inner',
          layers: [layer('Linear', { name: 'l' }), layer('Linear', { name: 'l' })],
        }),
      ),
    },
    'large-topology': { ...bare, 'model.json': Buffer.alloc(4 * 2 ** 20 + 1, ' ') },
    'no-x': datasetFolder([{ ...inputs(2), name: 'pixels' }, labels(1, 2)]),
    'no-y': datasetFolder([inputs(2)]),
    'no-example': datasetFolder([inputs(0), labels()]),
    'other-shape': datasetFolder([inputs(2, 195), labels(1, 2)]),
    'too-few-labels': datasetFolder([inputs(2), labels(1)]),
    'float-labels': datasetFolder([inputs(2), tensor('y', 'F32', [2], new Uint8Array(8))]),
    'wide-x': datasetFolder([tensor('x', 'F64', [1, 196], new Uint8Array(8 * 196)), labels(1)]),
  };
  for (const [name, folder] of Object.entries(folders))
    assert.equal((await server.upload(name, folder)).status, 201, name);
  const before = await server.stored();
  const refusals: [ErrorCode, number, Json][] = [
    ['unknown_checkpoint', 404, evaluate('data', 'nobody')],
    ['unknown_checkpoint', 404, evaluate('nobody')],
    ['model_missing', 422, evaluate('data', 'bare')],
    ['model_invalid', 422, evaluate('data', 'not-json')],
    ['model_invalid', 422, evaluate('data', 'no-topology')],
    ['model_invalid', 422, evaluate('data', 'deep')],
    ['model_invalid', 422, evaluate('data', 'twins')],
    ['model_invalid', 422, evaluate('data', 'twins-within')],
    ['model_too_large', 422, evaluate('data', 'large-topology')],
    ['dataset_invalid', 422, evaluate('no-x')],
    ['dataset_invalid', 422, evaluate('no-y')],
    ['dataset_invalid', 422, evaluate('no-example')],
    ['dataset_invalid', 422, evaluate('other-shape')],
    ['dataset_invalid', 422, evaluate('too-few-labels')],
    ['dataset_invalid', 422, evaluate('float-labels')],
    ['dataset_invalid', 422, evaluate('wide-x')],
    ['dataset_invalid', 422, { type: 'fisher', checkpoint: 'mnist', dataset: 'no-y', output: 'f', labels: 'given' }],
    ['model_missing', 422, adapt({ tasks: [{ name: 'b', checkpoint: 'bare', dataset: 'data' }] })],
    ['merge_conflict', 422, adapt({ include: ['nothing.here'] })],
    ['unknown_merge', 404, { ...evaluate(), model: { merge: 'nobody', task: 'm' } }],
    ['invalid_request', 400, { ...evaluate(), type: 'train' }],
    ['invalid_request', 400, { ...evaluate(), more: 1 }],
    ['invalid_request', 400, { ...evaluate(), batch_size: 0 }],
  ];
  for (const [code, status, json] of refusals) await server.refuse(code, status, 'POST', '/v1/jobs', { json });
  assert.deepEqual(await server.stored(), before, 'nothing was accepted');
});

test('the models of merges: not before they are there, and only with what they need', async () => {
  const tasks = adapt().tasks.map(({ name, checkpoint }) => ({ name, checkpoint }));
  await server.merge({ name: 'averaged', base: 'base', tasks, method: { type: 'average' } });
  const of = (model: Json) => ({ json: { ...evaluate(), model } });
  await server.refuse('unknown_task', 404, 'POST', '/v1/jobs', of({ merge: 'averaged', task: 'nobody' }));
  const rescaled = { merge: 'averaged', task: 'm', rescaler: 'l2' };
  await server.refuse('not_for_this_method', 409, 'POST', '/v1/jobs', of(rescaled));
  await server.merge({ name: 'bare', base: 'base', tasks: [{ name: 'b', checkpoint: 'bare' }] });
  await server.refuse('model_missing', 422, 'POST', '/v1/jobs', of({ merge: 'bare', task: 'b' }));
  const running = await start(endless);
  const { id } = await server.expect(202, 'POST', '/v1/merges', { json: { name: 'waits', base: 'base', tasks } });
  await server.refuse('merge_not_ready', 409, 'POST', '/v1/jobs', of({ merge: 'waits', task: 'm' }));
  await server.expect(200, 'POST', `/v1/merges/${id}/cancel`);
  await server.expect(200, 'POST', `/v1/jobs/${running}/cancel`);
});

/** A model.json of one Linear layer, or of other layers in its place. */
const topology = (...layers: Json[]) =>
  Buffer.from(JSON.stringify({ class_name: 'Sequential', config: { name: 's', layers } }));
const layer = (class_name: string, config: Json, first = false) => ({
  class_name,
  config: { ...config, ...(first ? { batch_input_shape: [null, 2] } : {}) },
});
/** A layer `out` that is called on the output of another. */
const circle = (on: string) => functional([[[on, 0, 0, {}]]]);
const functional = (inbound_nodes: unknown[], output = 'out') =>
  Buffer.from(
    JSON.stringify({
      class_name: 'Model',
      config: {
        name: 'm',
        layers: [
          { ...layer('InputLayer', { name: 'in' }, true), name: 'in', inbound_nodes: [] },
          { ...layer('Linear', { name: 'out', units: 2 }), name: 'out', inbound_nodes },
        ],
        input_layers: [['in', 0, 0]],
        output_layers: [[output, 0, 0]],
      },
    }),
  );
const weights = (...shape: [number, number]): TestTensor[] => [
  tensor(
    'out.weight',
    'F32',
    shape,
    new Uint8Array(Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => i + 1).buffer),
  ),
  tensor('out.bias', 'F32', [shape[0]], new Uint8Array(4 * shape[0])),
];

test('what only the model tells fails the job with its code', async () => {
  const model = (json: Buffer, tensors: TestTensor[]): Folder => ({
    'model.json': json,
    'model.safetensors': safetensorsFile(tensors),
  });
  const out = (units: number) => layer('Linear', { name: 'out', units }, true);
  const pair = tensor('x', 'U8', [3, 2], Uint8Array.of(1, 2, 3, 4, 5, 6));
  const nan = new Uint8Array(Float32Array.of(Number.NaN, 0, 0, 0).buffer);
  const folders: Record<string, Folder> = {
    small: model(topology(out(2)), weights(2, 2)),
    unknown: model(topology(layer('Nonsense', { name: 'out' }, true)), weights(2, 2)),
    missing: model(topology(out(2), layer('Linear', { name: 'more', units: 2 })), weights(2, 2)),
    extra: model(topology(out(2)), [...weights(2, 2), tensor('left.over', 'F32', [1], new Uint8Array(4))]),
    shaped: model(
      topology(out(2)),
      weights(3, 2).map((one) => (one.name === 'out.bias' ? { ...one, shape: [3, 1] } : one)),
    ),
    huge: model(topology(out(10 ** 9)), weights(2, 2)),
    swollen: model(
      topology(
        out(2),
        layer('RepeatVector', { name: 'r', n: 2 ** 27 }),
        layer('GlobalAveragePooling1D', { name: 'g' }),
      ),
      weights(2, 2),
    ),
    buried: model(
      topology(
        out(2),
        layer('Sequential', {
          name: 'inner',
          layers: [
            layer('RepeatVector', { name: 'r', n: 2 ** 27, batch_input_shape: [null, 2] }),
            layer('GlobalAveragePooling1D', { name: 'g' }),
          ],
        }),
      ),
      weights(2, 2),
    ),
    circle: model(circle('out'), weights(2, 2)),
    absent: model(circle('nothing'), weights(2, 2)),
    alone: model(functional([]), weights(2, 2)),
    elsewhere: model(functional([[['in', 0, 0, {}]]], 'nobody'), weights(2, 2)),
    disconnected: model(functional([[['in', 7, 0, {}]]]), weights(2, 2)),
    nested: model(topology(layer('Linear', { name: 'out', units: 2 })), weights(2, 2)),
    single: model(topology(out(1)), weights(1, 2)),
    sigmoid: model(topology(out(2), layer('Activation', { name: 'a', activation: 'sigmoid' })), weights(2, 2)),
    broken: model(topology(out(2)), [{ ...weights(2, 2)[0]!, data: nan }, weights(2, 2)[1]!]),
    steep: model(topology(out(2)), [f32('out.weight', [3e38, 3e38, 0, 0], [2, 2]), weights(2, 2)[1]!]),
    unclear: datasetFolder([f32('x', [1, 2, 3, Number.NaN, 5, 6], [3, 2]), labels(0, 1, 1)]),
    pair: datasetFolder([pair, labels(0, 1, 1)]),
    beyond: datasetFolder([pair, labels(0, 1, 2)]),
    negative: datasetFolder([pair, tensor('y', 'I64', [3], new Uint8Array(BigInt64Array.of(0n, -1n, 0n).buffer))]),
  };
  for (const [name, folder] of Object.entries(folders))
    assert.equal((await server.upload(name, folder)).status, 201, name);
  const failures: [ErrorCode, string, string, RegExp][] = [
    ['model_invalid', 'unknown', 'pair', /Nonsense/],
    ['model_mismatch', 'missing', 'pair', /more/],
    ['model_mismatch', 'extra', 'pair', /left\.over/],
    ['model_mismatch', 'shaped', 'pair', /out\.weight is \[3,2\], and \[2,2\]/],
    ['model_mismatch', 'huge', 'pair', /1000000000/],
    ['model_too_large', 'swollen', 'pair', /Layer r /],
    ['model_too_large', 'buried', 'pair', /Layer r /],
    ['model_invalid', 'circle', 'pair', /wait for/],
    ['model_invalid', 'absent', 'pair', /wait for/],
    ['model_invalid', 'alone', 'pair', /No inbound_nodes: out/],
    ['model_invalid', 'elsewhere', 'pair', /there is not/],
    ['model_invalid', 'disconnected', 'pair', /wait for/],
    ['model_invalid', 'nested', 'pair', /inputShape/],
    ['model_invalid', 'single', 'pair', /classifier/],
    ['model_invalid', 'sigmoid', 'pair', /sigmoid/],
    ['non_finite_weight', 'broken', 'pair', /out\.weight at flat index 0 of checkpoint broken/],
    ['model_output', 'steep', 'pair', /example 0/],
    ['dataset_invalid', 'small', 'unclear', /Example 1 of unclear/],
    ['label_out_of_range', 'small', 'beyond', /Label 2 .* is 2;/],
    ['label_out_of_range', 'small', 'negative', /Label 1 .* is -1;/],
  ];
  for (const [code, checkpoint, dataset, detail] of failures) {
    const { id, error } = await runJob(server, evaluate(dataset, checkpoint), 'failed');
    assert.equal(error!.code, code, `${checkpoint}: ${error!.detail}`);
    assert.match(error!.detail, detail);
    assert.ok(!JSON.stringify(error).includes(server.dataDir));
    // Its inputs are what they were: asked again, it runs again.
    assert.equal((await server.call('POST', '/v1/jobs', { json: evaluate(dataset, checkpoint) })).status, 202);
    await until('it has failed again', async () => (await view(id)).state === 'failed');
  }
  const { result } = await runJob(server, evaluate('pair', 'small'));
  // Of x = (1, 2), (3, 4), (5, 6) and W = ((1, 2), (3, 4)) the second output is always larger.
  assert.equal(result!.accuracy, 2 / 3);
});

test('a model with convolutions: its gradients run where there are any, its weights have slashes', async () => {
  const random = (name: string, shape: number[], seed: number) => randomTensor(name, shape, seed);
  const folder = {
    'model.json': topology(
      {
        class_name: 'Conv2D',
        config: {
          name: 'conv',
          filters: 3,
          kernel_size: [3, 3],
          activation: 'relu',
          batch_input_shape: [null, 6, 6, 1],
        },
      },
      layer('BatchNormalization', { name: 'norm' }),
      layer('Flatten', { name: 'flat' }),
      layer('Dense', { name: 'out', units: 4, activation: 'softmax' }),
    ),
    'model.safetensors': safetensorsFile([
      random('conv/kernel', [3, 3, 1, 3], 1),
      random('conv/bias', [3], 2),
      random('norm/gamma', [3], 3),
      random('norm/beta', [3], 4),
      random('norm/moving_mean', [3], 5),
      f32('norm/moving_variance', [1, 2, 0.5]),
      random('out/kernel', [48, 4], 6),
      random('out/bias', [4], 7),
    ]),
  };
  await server.upload('convolutions', folder);
  await server.upload('images', datasetFolder([random('x', [5, 6, 6, 1], 8), labels(0, 1, 2, 3, 0)]));
  const model = { checkpoint: 'convolutions', dataset: 'images' };
  const evaluated = (await runJob(server, evaluate('images', 'convolutions'))).result!;
  assert.deepEqual([evaluated.backend, evaluated.n], ['wasm', 5]);
  const fisher = (await runJob(server, { type: 'fisher', ...model, output: 'conv-fisher' })).result!;
  assert.deepEqual([fisher.backend, fisher.tensors], ['cpu', 8]);
  const gram = (await runJob(server, { type: 'gram', ...model, output: 'conv-gram' })).result!;
  assert.deepEqual([gram.backend, gram.tensors], ['wasm', 1]);
  const [path] = (await server.stored()).filter((key) => /conv-fisher.*safetensors$/.test(key));
  const tensors = readSafetensors(await readFile(join(server.dataDir, path!)));
  assert.deepEqual(tensors.get('conv/kernel')!.shape, [3, 3, 1, 3]);
  for (const [name, tensor] of tensors) {
    const isZero = floatsOf(tensor).every((value) => value === 0);
    assert.equal(isZero, name.startsWith('norm/moving'), `${name}: stored statistics have no gradient`);
  }
});

test('the process that serves never loads TensorFlow.js', () => {
  // Its engine is one for a whole process, and is kept here.
  assert.ok(!('_tfengine' in globalThis));
});

test('a checkpoint that is replaced while its job waits fails it', async () => {
  const running = await start(endless);
  await server.upload('fickle', await digitsFolder('mnist'));
  const { id } = await server.expect(202, 'POST', '/v1/jobs', { json: evaluate('data', 'fickle') });
  await server.refuse('checkpoint_in_use', 409, 'DELETE', '/v1/checkpoints/fickle?force=true');
  await server.expect(200, 'POST', `/v1/jobs/${id}/cancel`);
  await server.expect(204, 'DELETE', '/v1/checkpoints/fickle');
  await server.refuse('unknown_checkpoint', 404, 'POST', '/v1/jobs', { json: evaluate('data', 'fickle') });
  await server.expect(200, 'POST', `/v1/jobs/${running}/cancel`);
});
