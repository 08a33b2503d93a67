import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupTensors, inOrder } from '../../../src/report-page/tensor-groups.js';

const layers = (count: number, parts: readonly string[]) =>
  Array.from({ length: count }, (_, i) => parts.map((part) => `model.layers.${i}.${part}`)).flat();
const labels = (names: readonly string[], limit: number) => groupTensors(names, limit).map(({ label }) => label);

test('layer 2 comes before layer 10', () => {
  assert.deepEqual(inOrder(['l.10.w', 'l.2.w', 'l.1.w']), ['l.1.w', 'l.2.w', 'l.10.w']);
});

test('few tensors have a row each', () => {
  assert.deepEqual(labels(['b', 'a'], 2), ['a', 'b']);
  assert.deepEqual(labels([], 2), []);
});

test('too many are put together by layer, in the names of PyTorch and of TensorFlow', () => {
  assert.deepEqual(labels(layers(2, ['w', 'b', 'c']), 3), ['model.layers.0.*', 'model.layers.1.*']);
  assert.deepEqual(labels(['d_1/kernel', 'd_1/bias', 'd_2/kernel', 'd_2/bias'], 2), ['d_1.*', 'd_2.*']);
});

test('where a layer more would hide all, neighbours are put together', () => {
  const groups = groupTensors(layers(12, ['w', 'b']), 5);
  assert.equal(groups.length, 5);
  assert.equal(groups[0]!.label, 'model.layers.0.* – 1.*');
});

test('no tensor is lost or counted twice, whatever the limit', () => {
  const names = [...layers(7, ['w', 'b']), 'head', 'norm.weight', '__proto__'];
  for (const limit of [1, 2, 3, 5, 8, 13, 100]) {
    const groups = groupTensors(names, limit);
    assert.ok(groups.length <= limit);
    assert.deepEqual(groups.flatMap(({ tensors }) => tensors).sort(), [...names].sort());
  }
});
