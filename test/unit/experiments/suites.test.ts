import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PIXELS } from '../../../examples/digits/data.js';
import { TASKS } from '../../../examples/digits/tasks.js';
import { BASE_IMAGES, SUITES } from '../../../experiments/suites/suites.js';
import { blurred, SYMMETRIES } from '../../../experiments/suites/transforms.js';

const TRAINING_IMAGES = { mnist: 60_000, fashion: 60_000, uci: 1297 };
const pixels = Uint8Array.from({ length: 2 * PIXELS }, (_, index) => (index * 89) % 256);

test('the suites have as many tasks as they say, by different names', () => {
  const counts = { digits8: 8, tasks30: 30, cheap100: 100 };
  for (const [name, { tasks }] of Object.entries(SUITES)) {
    assert.equal(tasks.length, counts[name as keyof typeof counts]);
    assert.equal(new Set(tasks.map((task) => task.name)).size, tasks.length);
  }
});

test('no image is used twice: by the base, by two tasks, or for training and validation', () => {
  for (const { tasks } of Object.values(SUITES)) {
    for (const source of ['mnist', 'fashion', 'uci'] as const) {
      const own = tasks.filter((task) => task.source === source);
      const spans = own.map(({ training }) => training);
      // All tasks of a source may share its images for validation.
      if (own[0]?.validation) spans.push(own[0].validation);
      for (const { validation } of own) assert.deepEqual(validation, own[0]!.validation);
      if (source !== 'uci') spans.push(BASE_IMAGES);
      spans.sort((a, b) => a.first - b.first);
      for (const [index, { first, end }] of spans.entries()) {
        assert.ok(first < end && end <= TRAINING_IMAGES[source]);
        assert.ok(first >= (spans[index - 1]?.end ?? 0), `${source}: ${first} is in two spans`);
      }
    }
  }
});

test('within a source no two tasks of a suite change an image in the same way', () => {
  for (const { tasks } of Object.values(SUITES)) {
    const seen = new Set(tasks.map(({ source, transform }) => `${source} ${transform(pixels).join()}`));
    assert.equal(seen.size, tasks.length);
  }
});

test('symmetries keep the pixels of every image, and are those of the example where both have one', () => {
  const sorted = (values: Uint8Array) => values.slice(PIXELS).sort();
  for (const symmetry of Object.values(SYMMETRIES)) assert.deepEqual(sorted(symmetry(pixels)), sorted(pixels));
  const example = (name: string) => TASKS.find((task) => task.name === name)!.transform(pixels);
  assert.deepEqual(SYMMETRIES['rotated-90']!(pixels), example('mnist-rotated-90'));
  assert.deepEqual(SYMMETRIES['rotated-180']!(pixels), example('fashion-rotated-180'));
  assert.deepEqual(SYMMETRIES.transposed!(pixels), example('fashion-transposed'));
});

test('blurring takes the mean of nine, and stays within each image', () => {
  const two = new Uint8Array(2 * PIXELS).fill(200, PIXELS);
  assert.deepEqual(blurred(two), two);
  const spot = new Uint8Array(PIXELS);
  spot[5 * 14 + 5] = 90;
  assert.deepEqual([blurred(spot)[4 * 14 + 4], blurred(spot)[6 * 14 + 5], blurred(spot)[7 * 14 + 5]], [10, 10, 0]);
});
