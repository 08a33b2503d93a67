import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, normal } from '../../../examples/digits/random.js';
import {
  bitEntropy,
  conditionalEntropy,
  entropy,
  jointEntropy,
  packBits,
  unpackBits,
} from '../../../experiments/maths/entropy.js';
import { cosines, inverseSquareRoot, meanCosine, withCosine } from '../../../experiments/maths/mix.js';
import { quantisedBytes, quantiseRows } from '../../../experiments/maths/quantise.js';
import { flatten, reconstruct, unflatten } from '../../../experiments/maths/reconstruct.js';
import { deviation, mean } from '../../../experiments/maths/statistics.js';

const near = (actual: number, expected: number, within: number) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual}, not ${expected} ± ${within}`);

test('mean and deviation are those of a sample', () => {
  assert.equal(mean([2, 4, 9]), 5);
  near(deviation([2, 4, 9])!, Math.sqrt(13), 1e-12);
  assert.equal(deviation([3]), undefined);
});

test('the entropy of a bit and of counts', () => {
  assert.equal(bitEntropy(0.5), 1);
  assert.equal(bitEntropy(0), 0);
  assert.equal(bitEntropy(1), 0);
  near(bitEntropy(0.6), 0.970951, 1e-6);
  assert.equal(entropy([5, 5, 5, 5]), 2);
  near(entropy([6, 4, 0]), bitEntropy(0.6), 1e-12);
});

test('a magnitude that decides the bit leaves no entropy; one that says nothing leaves all of it', () => {
  const values = Float32Array.from({ length: 1000 }, (_, index) => (index % 2 ? 1 : -1) * (index + 1));
  const decided = Uint8Array.from(values, (value) => Number(Math.abs(value) > 500));
  near(conditionalEntropy(decided, values, 2), 0, 1e-12);
  near(conditionalEntropy(decided, values, 1), 1, 1e-12);
  const alternating = Uint8Array.from(values, (_, index) => index % 2);
  near(conditionalEntropy(alternating, values, 10), 1, 1e-12);
});

test('masks that repeat one another cost what one costs', () => {
  const random = createRandom(7);
  const mask = Uint8Array.from({ length: 5000 }, () => Number(random() < 0.6));
  const density = mean([...mask]);
  near(jointEntropy([mask, mask, mask]), bitEntropy(density) / 3, 1e-12);
  const other = Uint8Array.from({ length: 5000 }, () => Number(random() < 0.5));
  near(jointEntropy([mask, other]), (bitEntropy(density) + 1) / 2, 2e-3);
  assert.throws(() => jointEntropy(Array.from({ length: 17 }, () => mask)), RangeError);
});

test('bits are packed least significant first, and back', () => {
  assert.deepEqual([...packBits(Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 1, 1]))], [0x81, 1]);
  for (const length of [0, 1, 7, 8, 9, 100]) {
    const bits = Uint8Array.from({ length }, (_, index) => Number(index % 3 === 0));
    assert.deepEqual(unpackBits(packBits(bits), length), bits);
  }
});

test('rows are rounded to even steps of their own scale', () => {
  const values = Float32Array.from([7, -3.4, 0.6, 0, 0.7, -0.34, 0.06, 0.0001]);
  const rounded = quantiseRows(values, 4, 4);
  assert.deepEqual([...rounded.subarray(0, 4)], [7, -3, 1, 0]);
  for (const [index, expected] of [0.7, -0.3, 0.1, 0].entries()) near(rounded[4 + index]!, expected, 1e-7);
  assert.deepEqual(quantiseRows(new Float32Array(4), 2, 8), new Float32Array(4));
});

test('the error of rounding is at most half a step, and more bits are nearer', () => {
  const values = normal(4096, 0.01, createRandom(3));
  let last = Number.POSITIVE_INFINITY;
  for (const bits of [2, 3, 4, 6, 8]) {
    const rounded = quantiseRows(values, 64, bits);
    let worst = 0;
    for (let start = 0; start < values.length; start += 64) {
      const largest = Math.max(...values.subarray(start, start + 64).map(Math.abs));
      const step = largest / (2 ** (bits - 1) - 1);
      for (let index = start; index < start + 64; index += 1) {
        worst = Math.max(worst, Math.abs(rounded[index]! - values[index]!) / step);
      }
    }
    assert.ok(worst <= 0.5 + 1e-3, `${worst} of a step at ${bits} bits`);
    const error = values.reduce((sum, value, index) => sum + (value - rounded[index]!) ** 2, 0);
    assert.ok(error < last);
    last = error;
  }
  assert.equal(quantisedBytes(100, 10, 4), 50 + 40);
});

test('the inverse square root undoes a matrix', () => {
  const a = [
    [2, 0.5, 0.1],
    [0.5, 1, -0.2],
    [0.1, -0.2, 3],
  ];
  const root = inverseSquareRoot(a);
  const product = (x: readonly (readonly number[])[], y: readonly (readonly number[])[]) =>
    x.map((row) => y[0]!.map((_, column) => row.reduce((sum, value, inner) => sum + value * y[inner]![column]!, 0)));
  for (const [i, row] of product(product(root, a), root).entries()) {
    for (const [j, value] of row.entries()) near(value, Number(i === j), 1e-9);
  }
  assert.throws(
    () =>
      inverseSquareRoot([
        [1, 1],
        [1, 1],
      ]),
    /singular/,
  );
});

test('mixed vectors have the cosine that was asked for and the norms that they had', () => {
  const random = createRandom(5);
  const common = normal(400, 0.5, random);
  const vectors = Array.from({ length: 8 }, (_, t) =>
    normal(400, 1 + t / 8, random).map((value, index) => value + common[index]!),
  );
  const norm = (vector: Float32Array) => Math.hypot(...vector);
  for (const cosine of [-1 / 7, -0.1, 0, 0.3, 0.9, 1]) {
    const mixed = withCosine(vectors, cosine);
    for (const [i, row] of cosines(mixed).entries()) {
      for (const [j, value] of row.entries()) near(value, i === j ? 1 : cosine, 1e-5);
    }
    near(meanCosine(cosines(mixed)), cosine, 1e-5);
    for (const [t, vector] of mixed.entries()) near(norm(vector) / norm(vectors[t]!), 1, 1e-6);
  }
});

test('vectors that have the cosine already stay as they are', () => {
  const vectors = [Float32Array.from([1, 0, 0]), Float32Array.from([0, 2, 0]), Float32Array.from([0, 0, 3])];
  for (const [t, vector] of withCosine(vectors, 0).entries()) {
    for (const [index, value] of vector.entries()) near(value, vectors[t]![index]!, 1e-6);
  }
});

test('weights are laid out flat, and back; a rebuilt one is the base where the mask is 0', () => {
  const weights = new Map([
    ['a', { shape: [2, 1], data: Float32Array.from([1, 2]) }],
    ['b', { shape: [1], data: Float32Array.from([3]) }],
    ['head.bias', { shape: [1], data: Float32Array.from([9]) }],
  ]);
  assert.deepEqual([...flatten(weights, ['b', 'a'])], [3, 1, 2]);
  const changed = unflatten(weights, ['b', 'a'], Float32Array.from([30, 10, 20]));
  assert.deepEqual(
    [...changed.get('a')!.data, ...changed.get('b')!.data, ...changed.get('head.bias')!.data],
    [10, 20, 30, 9],
  );
  const rebuilt = reconstruct(
    Float32Array.from([1, -0, 2]),
    Float32Array.from([4, 5, -6]),
    Uint8Array.from([1, 0, 1]),
    0.5,
  );
  assert.deepEqual(rebuilt, Float32Array.from([3, -0, -1]));
});
