import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../../examples/digits/backend.js';
import { TASKS } from '../../../examples/digits/tasks.js';
import { createAdam } from '../../../src/models/compute/adam.js';
import { type EntropyProblem, entropyProblem } from '../../../src/models/compute/adamerging.js';
import { elect, trimToDensity } from '../../../src/models/compute/task-vectors.js';
import type { AdaMergingTask, RawTensor } from '../../../src/models/task.js';
import { digitsFolder, digitsTest, type Folder } from '../../helpers/digits.js';
import { readSafetensors } from '../../helpers/model-files.js';

before(startBackend);

/** Of few examples the bends of single ReLUs show in a finite difference. */
const EXAMPLES = 100;
const tensorsOf = (folder: Folder): RawTensor[] =>
  [...readSafetensors(folder['model.safetensors']!)].map(([name, { shape, bytes }]) => {
    return { name, dtype: 'F32', shape, bytes: Uint8Array.from(bytes) };
  });

async function problemOf(options: Partial<AdaMergingTask['options']>): Promise<EntropyProblem> {
  const tasks = await Promise.all(
    TASKS.slice(0, 2).map(async (task) => {
      const folder = await digitsFolder(task.name);
      const [x] = await digitsTest(task, EXAMPLES);
      const topology = JSON.parse(Buffer.from(folder['model.json']!).toString()).modelTopology as object;
      const model = { name: task.name, topology, tensors: tensorsOf(folder) };
      const raw: RawTensor = { ...x!, bytes: Uint8Array.from(x!.data!) };
      return { name: task.name, model, dataset: { name: 'data', x: raw } };
    }),
  );
  const tensors = tensorsOf(await digitsFolder('base')).filter(({ name }) => !name.startsWith('head.'));
  const defaults = { granularity: 'task', trimmed: undefined, steps: 1, learning_rate: 1e-3, initial: 0.3 } as const;
  return entropyProblem({
    type: 'adamerging',
    base: { name: 'base', tensors },
    tasks,
    options: { ...defaults, batch_size: EXAMPLES, seed: 0, ...options },
  });
}

for (const granularity of ['task', 'layer'] as const) {
  for (const trimmed of [undefined, { density: 0.2 }]) {
    test(`the gradient of coefficients by ${granularity}${trimmed ? ', trimmed,' : ''} is that of finite differences`, async () => {
      const problem = await problemOf({ granularity, trimmed });
      const places = problem.examples.map(() => [...Array(EXAMPLES).keys()]);
      assert.equal(problem.size, granularity === 'task' ? 2 : 2 * 12);
      const at = Float64Array.from({ length: problem.size }, (_, i) => 0.25 + 0.01 * i);
      const slopes = problem.gradient(at, places);
      const largest = Math.max(...slopes.map(Math.abs));
      const H = 3e-3;
      for (const i of granularity === 'task' ? [0, 1] : [0, 5, 13, 23]) {
        const moved = (by: number) => problem.entropy(at.with(i, at[i]! + by), places);
        // `entropy` is the mean over two tasks, the descent is on their sum.
        const numeric = (2 * (moved(H) - moved(-H))) / (2 * H);
        assert.ok(Math.abs(numeric - slopes[i]!) <= 1e-3 * largest, `${i}: ${numeric}, not ${slopes[i]}`);
      }
    });
  }
}

test('TensorFlow.js leaves the mark by which a test knows that a process has loaded it', () => {
  assert.ok('_tfengine' in globalThis);
});

test('no tensor is left over from a gradient', async () => {
  const problem = await problemOf({});
  const places = problem.examples.map(() => [0, 1]);
  const at = new Float64Array(problem.size).fill(0.3);
  problem.gradient(at, places);
  const { numTensors } = tf.memory();
  problem.gradient(at, places);
  problem.entropy(at, places);
  assert.equal(tf.memory().numTensors, numTensors);
});

test('trimming keeps the largest, and all that are as large as the smallest of them', () => {
  const parts = [Float32Array.of(1, -5, 2, 0), Float32Array.of(-2, 4, 0.5, 2, -0.25, 3)];
  trimToDensity(parts, 0.45);
  // int(0.45 · 10) = 4 are meant to stay: the 6th smallest is the threshold, which is 2, and three have it.
  assert.deepEqual(
    parts.map((part) => [...part]),
    [
      [0, -5, 2, 0],
      [-2, 4, 0, 2, 0, 3],
    ],
  );
  const all = [Float32Array.of(3, -1)];
  trimToDensity(all, 1);
  assert.deepEqual([...all[0]!], [3, -1]);
});

test('Adam takes steps of the rate at first, and stays within 0 and 1', () => {
  const values = Float64Array.of(0.3, 0.3, 0.999, 0.001);
  const step = createAdam(values, 0.01);
  step(Float64Array.of(5, -0.01, -1, 1));
  const expected = [0.29, 0.31, 1, 0];
  for (const [i, value] of values.entries()) assert.ok(Math.abs(value - expected[i]!) < 1e-6, `${i}: ${value}`);
});

test('the elected sign is that of the sum; where it is 0, that of most sums', () => {
  const first = [Float32Array.of(3, -1, 2, -1), Float32Array.of(-1, -2, -2, 1)];
  const second = [Float32Array.of(-5, 0), Float32Array.of(1, 0)];
  elect([first, second]);
  // Sums 2, -3, 0, 0 and -4, 0: most are negative.
  assert.deepEqual(first, [Float32Array.of(3, -1, 0, -1), Float32Array.of(0, -2, -2, 0)]);
  assert.deepEqual(second, [Float32Array.of(-5, 0), Float32Array.of(0, 0)]);
});
