import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from '../../../examples/digits/backend.js';
import { PIXELS, SIDE } from '../../../examples/digits/data.js';
import { createRandom, normal } from '../../../examples/digits/random.js';
import { plainBatches } from '../../../experiments/training/batches.js';
import { ofTask, trainJointly } from '../../../experiments/training/joint.js';
import { mlp } from '../../../experiments/training/mlp.js';
import { specsOf } from '../../../experiments/training/needs.js';
import { keyOf, labelOf } from '../../../experiments/training/specs.js';
import { vit } from '../../../experiments/training/vit.js';

before(startBackend);

test('the transformer attends to tokens, and knows their places', () => {
  const weights = vit.initial(10, createRandom(1));
  const varied = new Map(
    [...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((x, i) => x + 0.05 * Math.sin(i)) }]),
  );
  const inputs = normal(3 * PIXELS, 1, createRandom(2));
  const linear = (x: tf.Tensor2D, name: string) => {
    const { shape, data } = varied.get(`${name}.weight`)!;
    const product = tf.matMul(x, tf.tensor2d(data, shape as [number, number]), false, true);
    return tf.add(product, tf.tensor1d(varied.get(`${name}.bias`)!.data)) as tf.Tensor2D;
  };
  const norm = (x: tf.Tensor, name: string) => {
    const { mean, variance } = tf.moments(x, -1, true);
    const scaled = tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5))), varied.get(`${name}.weight`)!.data);
    return tf.add(scaled, varied.get(`${name}.bias`)!.data) as tf.Tensor2D;
  };
  const forward = (image: Float32Array) => {
    const flat = tf.reshape(linear(tf.tensor2d(image, [SIDE, SIDE]), 'embedding'), [1, -1]);
    let x = tf.reshape(norm(flat, 'positions'), [SIDE, -1]) as tf.Tensor2D;
    for (const block of ['blocks.0', 'blocks.1']) {
      const y = norm(x, `${block}.norm1`);
      const scores = tf.matMul(linear(y, `${block}.query`), linear(y, `${block}.key`), false, true);
      x = tf.add(x, linear(tf.matMul(tf.softmax(scores), linear(y, `${block}.value`)), `${block}.output`));
      x = tf.add(x, linear(tf.relu(linear(norm(x, `${block}.norm2`), `${block}.up`)), `${block}.down`));
    }
    return linear(tf.mean(norm(x, 'norm'), 0, true) as tf.Tensor2D, 'head').dataSync();
  };
  const model = vit.build(varied);
  const actual = tf.tidy(() => (model.predict(tf.tensor2d(inputs, [3, PIXELS])) as tf.Tensor).dataSync());
  model.dispose();
  for (const image of [0, 1, 2]) {
    const expected = tf.tidy(() => forward(inputs.slice(image * PIXELS, (image + 1) * PIXELS)));
    for (const [index, value] of expected.entries()) {
      assert.ok(Math.abs(value - actual[10 * image + index]!) < 1e-4, `${value}, not ${actual[10 * image + index]}`);
    }
  }
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
