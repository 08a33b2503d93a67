/** What jobs compute, against an implementation in numpy that shares no code with them. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TASKS } from '../../examples/digits/tasks.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { runJob } from '../helpers/jobs.js';
import { floatsOf, type ReadTensor, readSafetensors } from '../helpers/model-files.js';
import { python, runPython } from '../helpers/python.js';
import { type Json, testServer } from '../helpers/server.js';
import { temporaryFolder } from '../helpers/temporary.js';

const EXAMPLES = 60;
/** Of the largest element of its tensor: f32 gradients that nearly cancel have no better. */
const RELATIVE = 1e-5;
const SCRIPT = fileURLToPath(new URL('../../../test/interop/model_reference.py', import.meta.url));

const server = await testServer();
after(() => server.close());
const folder = temporaryFolder('emr-numpy-');
const out = join(folder, 'out');
const task = TASKS.find(({ name }) => name === 'fashion')!;
const interpreter = await python();
const skip = 'skip' in interpreter ? interpreter.skip : false;

before(async () => {
  const model = await digitsFolder(task.name);
  const data = datasetFolder(await digitsTest(task, EXAMPLES));
  await server.upload('model', model);
  await server.upload('data', data);
  await writeFile(join(folder, 'model.safetensors'), model['model.safetensors']!);
  await writeFile(join(folder, 'data.safetensors'), data['data.safetensors']!);
  if ('path' in interpreter) {
    const run = `import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')`;
    const files = [join(folder, 'model.safetensors'), join(folder, 'data.safetensors'), out];
    await runPython(interpreter.path, run, [SCRIPT, ...files]);
  }
});

const reference = async (name: string) => readSafetensors(await readFile(`${out}-${name}.safetensors`));

/** The tensors of a checkpoint, from the store's own folder. */
async function checkpointOf(name: string): Promise<Map<string, ReadTensor>> {
  const paths = (await server.stored()).filter((path) => path.includes(`checkpoints/${name}/u/`));
  const [path] = paths.filter((one) => one.endsWith('.safetensors'));
  return readSafetensors(await readFile(join(server.dataDir, path!)));
}

function assertNear(actual: Map<string, ReadTensor>, expected: Map<string, ReadTensor>): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  for (const [name, tensor] of actual) {
    const wanted = expected.get(name)!;
    assert.deepEqual([tensor.dtype, tensor.shape], ['F32', wanted.shape], name);
    const values = floatsOf(tensor);
    const truth = new Float64Array(Uint8Array.from(wanted.bytes).buffer);
    const largest = truth.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0, `${name} is all zero`);
    const worst = truth.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
    assert.ok(worst <= RELATIVE * largest, `${name}: off by ${worst / largest} of its largest`);
  }
}

test('accuracy and loss', { skip }, async () => {
  const truth = JSON.parse(await readFile(`${out}.json`, 'utf8')) as Record<string, number>;
  for (const batch_size of [7, 256]) {
    const { result } = await runJob(server, {
      type: 'evaluate',
      model: { checkpoint: 'model' },
      dataset: 'data',
      batch_size,
    });
    assert.equal(result!.accuracy, truth.accuracy);
    assert.ok(Math.abs((result!.loss as number) - truth.loss!) <= 1e-5 * truth.loss!, `${result!.loss} ${truth.loss}`);
    assert.equal(result!.n, EXAMPLES);
    assert.equal(result!.backend, 'wasm');
  }
});

test('Fisher diagonals: the expectation over labels, and those that are given', { skip }, async () => {
  for (const labels of ['expectation', 'given']) {
    const request = { type: 'fisher', checkpoint: 'model', dataset: 'data', output: `fisher-${labels}`, labels };
    const { result } = await runJob(server, request);
    assert.deepEqual([result!.n, result!.labels, result!.tensors], [EXAMPLES, labels, 14]);
    assertNear(await checkpointOf(`fisher-${labels}`), await reference(`fisher-${labels}`));
  }
});

test('labels drawn from the model: the same for a seed, others for another, near the expectation', {
  skip,
}, async () => {
  const fisher = async (output: string, seed: number) => {
    await runJob(server, { type: 'fisher', checkpoint: 'model', dataset: 'data', output, labels: 'sampled', seed });
    return (await checkpointOf(output)).get('head.bias')!;
  };
  const first = await fisher('drawn', 1);
  assert.deepEqual((await fisher('drawn-again', 1)).bytes, first.bytes);
  assert.notDeepEqual((await fisher('drawn-otherwise', 2)).bytes, first.bytes);
  const sum = (values: ArrayLike<number>) => Array.from(values).reduce((all, value) => all + value, 0);
  const truth = new Float64Array(
    Uint8Array.from((await reference('fisher-expectation')).get('head.bias')!.bytes).buffer,
  );
  assert.ok(Math.abs(sum(floatsOf(first)) / sum(truth) - 1) < 0.5);
});

test('Gram matrices, symmetric, whatever the batches', { skip }, async () => {
  for (const batch_size of [16, 256]) {
    const output = `gram-${batch_size}`;
    const { result } = await runJob(server, { type: 'gram', checkpoint: 'model', dataset: 'data', output, batch_size });
    assert.deepEqual([result!.n, result!.tensors], [EXAMPLES, 4]);
    const grams = await checkpointOf(output);
    assertNear(grams, await reference('gram'));
    const { shape } = grams.get('layers.0.weight')!;
    const values = floatsOf(grams.get('layers.0.weight')!);
    const [size] = shape as [number];
    assert.ok(values.every((value, i) => value === values[(i % size) * size + Math.floor(i / size)]));
  }
});

test('some of the examples: as many as were asked for, the same for a seed', { skip }, async () => {
  const request = { type: 'gram', checkpoint: 'model', dataset: 'data', samples: 10 };
  const first = (await runJob(server, { ...request, output: 'some-1', seed: 5 })).result as Json;
  assert.equal(first.n, 10);
  await runJob(server, { ...request, output: 'some-2', seed: 5 });
  await runJob(server, { ...request, output: 'some-3', seed: 6 });
  const bytes = async (name: string) => (await checkpointOf(name)).get('head.weight')!.bytes;
  assert.deepEqual(await bytes('some-1'), await bytes('some-2'));
  assert.notDeepEqual(await bytes('some-1'), await bytes('some-3'));
});

test('the entropy that AdaMerging starts from', { skip }, async () => {
  const truth = JSON.parse(await readFile(`${out}.json`, 'utf8')) as Record<string, number>;
  await server.upload('base', await digitsFolder('base'));
  const tasks = [{ name: 'one', checkpoint: 'model', dataset: 'data' }];
  // With a coefficient of 1 the merged model is the fine-tune.
  const { result } = await runJob(server, { type: 'adamerging', base: 'base', tasks, initial: 1, steps: 1 });
  const { before: entropy } = result!.entropy as { before: number };
  assert.ok(Math.abs(entropy - truth.entropy!) <= 1e-5 * truth.entropy!, `${entropy} ${truth.entropy}`);
});
