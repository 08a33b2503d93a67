/** What is NaN or infinite ends a job, wherever it is: the ReLU of WebAssembly makes NaN 0, which no output shows. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { startBackend } from '../../../examples/digits/backend.js';
import { entropyProblem } from '../../../src/models/compute/adamerging.js';
import { evaluate } from '../../../src/models/compute/evaluate.js';
import { fisher } from '../../../src/models/compute/fisher.js';
import { gram } from '../../../src/models/compute/gram.js';
import type { Dataset, ModelFiles, RawTensor } from '../../../src/models/task.js';

before(startBackend);

const raw = (name: string, shape: number[], ...values: number[]): RawTensor => {
  return { name, dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) };
};
const dense = (name: string, more: object) => ({ class_name: 'Dense', config: { name, units: 2, ...more } });
const topology = {
  class_name: 'Sequential',
  config: {
    name: 'm',
    layers: [
      dense('first', { batch_input_shape: [null, 2] }),
      { class_name: 'BatchNormalization', config: { name: 'norm' } },
      dense('second', { activation: 'relu' }),
      dense('last', {}),
    ],
  },
};

/** Of identity matrices, but for some tensors. */
function modelOf(name: string, others: Readonly<Record<string, readonly number[]>> = {}): ModelFiles {
  const of = (tensor: string, shape: number[], values: number[]) => raw(tensor, shape, ...(others[tensor] ?? values));
  const layer = (at: string) => [of(`${at}/kernel`, [2, 2], [1, 0, 0, 1]), of(`${at}/bias`, [2], [0, 0])];
  const norm = { gamma: [1, 1], beta: [0, 0], moving_mean: [0, 0], moving_variance: [1, 1] };
  const norms = Object.entries(norm).map(([key, values]) => of(`norm/${key}`, [2], values));
  return { name, topology, tensors: [...layer('first'), ...norms, ...layer('second'), ...layer('last')] };
}

function datasetOf(name: string, ...x: number[]): Dataset {
  const n = x.length / 2;
  return { name, x: raw('x', [n, 2], ...x), y: { name: 'y', dtype: 'U8', shape: [n], bytes: new Uint8Array(n) } };
}
const data = datasetOf('data', 1, 2, 3, 4, 5, 6);

const meter = () => () => {};
const subset = { samples: undefined, seed: 0 };
const jobs = {
  evaluate: (model: ModelFiles, dataset: Dataset) =>
    evaluate({ type: 'evaluate', model, dataset, batchSize: 2 }, meter),
  fisher: (model: ModelFiles, dataset: Dataset) =>
    fisher({ type: 'fisher', model, dataset, labels: 'expectation', ...subset }, meter),
  gram: (model: ModelFiles, dataset: Dataset) => gram({ type: 'gram', model, dataset, batchSize: 2, ...subset }, meter),
};

for (const [type, job] of Object.entries(jobs)) {
  test(`${type} names the weight, the variance or the example that makes NaN`, async () => {
    await job(modelOf('sound'), data);
    const broken = modelOf('broken', { 'second/kernel': [1, 0, Number.NaN, 1] });
    const facts = { checkpoint: 'broken', tensor: 'second/kernel', index: 2 };
    await assert.rejects(job(broken, data), { code: 'non_finite_weight', facts });
    const negative = modelOf('negative', { 'norm/moving_variance': [1, -0.5] });
    await assert.rejects(job(negative, data), {
      code: 'model_output',
      facts: { model: 'negative', tensor: 'norm/moving_variance', index: 1 },
    });
    await assert.rejects(job(modelOf('sound'), datasetOf('holes', 1, 2, 3, 4, 5, Infinity)), {
      code: 'dataset_invalid',
      facts: { dataset: 'holes', index: 2 },
    });
  });
}

test('a Fisher diagonal beyond f32 is refused', async () => {
  const flat = modelOf('flat', { 'last/kernel': [0, 0, 0, 0] });
  await assert.rejects(jobs.fisher(flat, datasetOf('large', 1e25, 1e25)), {
    code: 'model_output',
    facts: { model: 'flat', tensor: 'last/kernel' },
  });
});

/** Two tasks whose coefficients are to be found. */
function adapt(base: ModelFiles, ...models: ModelFiles[]) {
  const tasks = models.map((model, t) => ({ name: `t${t}`, model, dataset: data }));
  const descent = { steps: 1, learning_rate: 1e-3, initial: 0.3, batch_size: 3, seed: 0 };
  return entropyProblem({
    type: 'adamerging',
    base,
    tasks,
    options: { granularity: 'task', trimmed: undefined, ...descent },
  });
}

test('AdaMerging refuses NaN in the base, follows stored variances, and refuses coefficients that make one negative', async () => {
  const broken = modelOf('broken', { 'first/bias': [0, Infinity] });
  await assert.rejects(adapt(broken, modelOf('one')), {
    code: 'non_finite_weight',
    facts: { checkpoint: 'broken', tensor: 'first/bias', index: 1 },
  });
  const narrow = (name: string) => modelOf(name, { 'norm/moving_variance': [0.2, 1] });
  const problem = await adapt(modelOf('base'), narrow('one'), narrow('two'));
  const places = [[0], [1]];
  assert.ok(Number.isFinite(problem.entropy(Float64Array.of(0.5, 0.5), places)));
  const at = (by: number) => problem.entropy(Float64Array.of(0.5 + by, 0.5), places);
  const numeric = (2 * (at(1e-2) - at(-1e-2))) / 2e-2;
  const [slope] = problem.gradient(Float64Array.of(0.5, 0.5), places);
  // The stored variance is all in which the models differ.
  assert.ok(Math.abs(slope! - numeric) <= 0.01 * Math.abs(numeric), `${slope}, not ${numeric}`);
  assert.notEqual(numeric, 0);
  // 1 − 0.9·0.8 − 0.9·0.8
  assert.throws(() => problem.entropy(Float64Array.of(0.9, 0.9), places), {
    code: 'model_output',
    message: /norm\/moving_variance of the merged model of task t0 is -0\.4/,
  });
});
