import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../../examples/digits/backend.js';
import { PIXELS, SIDE } from '../../../examples/digits/data.js';
import { createRandom, normal } from '../../../examples/digits/random.js';
import { plainBatches } from '../../../experiments/training/batches.js';
import { cnn } from '../../../experiments/training/cnn.js';
import { ofTask, trainJointly } from '../../../experiments/training/joint.js';
import { mlp } from '../../../experiments/training/mlp.js';
import { specsOf } from '../../../experiments/training/needs.js';
import { keyOf, labelOf } from '../../../experiments/training/specs.js';

before(startBackend);

test('the network of products is the network of convolutions', () => {
  const weights = cnn.initial(10, createRandom(1));
  const biased = new Map(
    [...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x + 0.02) }]),
  );
  const inputs = normal(3 * PIXELS, 1, createRandom(2));
  const get = (name: string) => biased.get(name)!;
  const expected = tf.tidy(() => {
    let x = tf.tensor4d(inputs, [3, SIDE, SIDE, 1]);
    for (const place of [0, 1]) {
      const { shape, data } = get(`convolutions.${place}.weight`);
      const filter = tf.reshape(tf.transpose(tf.tensor2d(data, shape as [number, number])), [
        3,
        3,
        x.shape[3],
        shape[0]!,
      ]);
      const convolved = tf.conv2d(x, filter as tf.Tensor4D, 1, 'same');
      x = tf.avgPool(tf.relu(tf.add(convolved, tf.tensor1d(get(`convolutions.${place}.bias`).data))), 2, 2, 'valid');
    }
    let flat = tf.reshape(x, [3, -1]) as tf.Tensor2D;
    for (const name of ['hidden', 'head']) {
      const { shape, data } = get(`${name}.weight`);
      const product = tf.matMul(flat, tf.tensor2d(data, shape as [number, number]), false, true);
      flat = tf.add(product, tf.tensor1d(get(`${name}.bias`).data));
      if (name === 'hidden') flat = tf.relu(flat);
    }
    return flat.dataSync();
  });
  const model = cnn.build(biased);
  const actual = tf.tidy(() => (model.predict(tf.tensor2d(inputs, [3, PIXELS])) as tf.Tensor).dataSync());
  model.dispose();
  assert.equal(actual.length, 30);
  for (const [index, value] of actual.entries()) assert.ok(Math.abs(value - expected[index]!) < 1e-4);
});

test('batches go through all examples before one comes again', () => {
  const labels = Uint8Array.from({ length: 7 }, (_, index) => index);
  const inputs = Float32Array.from({ length: 7 * PIXELS }, (_, index) => Math.floor(index / PIXELS));
  const next = plainBatches({ inputs, labels }, createRandom(4));
  const drawn = [next(4), next(3)];
  assert.deepEqual(drawn.flatMap((batch) => [...batch.labels]).sort(), [...labels]);
  for (const batch of drawn) {
    for (const [row, label] of batch.labels.entries()) assert.equal(batch.inputs[row * PIXELS + 5], label);
  }
});

test('joint training teaches each head its own task, also where tasks disagree about the same images', () => {
  const random = createRandom(6);
  const inputs = normal(40 * PIXELS, 1, random);
  const ones = Uint8Array.from({ length: 40 }, (_, image) => Number(inputs[image * PIXELS]! > 0));
  const tasks = [ones, ones.map((label) => 1 - label)].map((labels) => ({ inputs, labels }));
  const start = mlp.initial(4, random);
  const joint = trainJointly(mlp, start, tasks, { classes: 2, images: 128 * 30, rate: 1e-3 }, random);
  for (const [place, { labels }] of tasks.entries()) {
    const weights = ofTask(joint, place, 2);
    assert.deepEqual(weights.get('head.weight')!.shape, [2, 192]);
    const model = mlp.build(weights);
    const classes = tf.tidy(() =>
      tf.argMax(model.predict(tf.tensor2d(inputs, [40, PIXELS])) as tf.Tensor, 1).dataSync(),
    );
    model.dispose();
    const right = labels.filter((label, index) => label === classes[index]).length;
    assert.ok(right >= 38, `${right} of 40`);
  }
});

test('every model has a key of its own, and the same one each time', () => {
  const wanted = (suite: 'digits8' | 'tasks30', seed: number) =>
    specsOf({ suite, seed, architecture: 'mlp', heads: ['random', 'probed'], joint: true });
  const specs = [...wanted('digits8', 1), ...wanted('digits8', 2), ...wanted('tasks30', 1)];
  assert.equal(specs.length, 17 + 17 + 61);
  assert.equal(new Set(specs.map(labelOf)).size, specs.length);
  assert.equal(new Set(specs.map((spec) => JSON.stringify(keyOf(spec)))).size, specs.length);
  assert.deepEqual(wanted('digits8', 2).map(keyOf), wanted('digits8', 2).map(keyOf));
});
