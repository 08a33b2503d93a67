import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { enlarge, halve, PIXELS, readIdx, SIDE, standardise } from '../../examples/digits/data.js';
import { evaluateTask } from '../../examples/digits/evaluate.js';
import { readEvents } from '../../examples/digits/events.js';
import { modelShapes } from '../../examples/digits/model.js';
import { CHECKPOINTS, EXAMPLE } from '../../examples/digits/places.js';
import { TASKS } from '../../examples/digits/tasks.js';
import { decodeWeights } from '../../examples/digits/tensor-files.js';

const load = async (name: string) => decodeWeights(await readFile(join(CHECKPOINTS, name, 'model.safetensors')));

test('every checkpoint has the tensors of the network, and only heads differ in shape', async () => {
  for (const [name, classes] of [['base', 20], ...TASKS.map((task) => [task.name, 10] as const)] as const) {
    const shapes = [...(await load(name))].map(([tensor, { shape }]) => [tensor, [...shape]] as const);
    assert.deepEqual(new Map(shapes), modelShapes(classes), name);
  }
});

test('the fine-tunes have the accuracies that README.md reports', async () => {
  const readme = await readFile(join(EXAMPLE, 'README.md'), 'utf8');
  for (const task of TASKS) {
    const { accuracy, n } = await evaluateTask(task, await load(task.name));
    assert.equal(n, task.source === 'uci' ? 500 : 2000);
    const reported = new RegExp(`^\\| \`${task.name}\` +\\| ([0-9.]+) +\\|`, 'm').exec(readme)?.[1];
    // A tenth is one or two images: other builds of the WebAssembly backend may sum in another order.
    assert.ok(Math.abs(100 * accuracy - Number(reported)) < 0.15, `${task.name}: ${100 * accuracy}, not ${reported}`);
  }
});

test('the example stays below 6 MB', async () => {
  const files = (await readdir(EXAMPLE, { recursive: true })).map((file) => stat(join(EXAMPLE, file)));
  const bytes = (await Promise.all(files)).reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
  assert.ok(bytes > 4e6 && bytes < 6e6, `${bytes} bytes`);
});

test('an IDX file is read whole or not at all', () => {
  const file = Buffer.from([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]);
  assert.deepEqual([...readIdx(file)], [7, 8, 9]);
  assert.throws(() => readIdx(file.subarray(0, 14)), /not whole/);
  assert.throws(() => readIdx(Buffer.concat([file, Buffer.alloc(1)])), /not whole/);
  assert.throws(() => readIdx(Buffer.from([0, 0, 13, 1, 0, 0, 0, 0])), /Not an IDX file/);
  assert.throws(() => readIdx(Buffer.from([0, 0, 8])), /Not an IDX file/);
});

test('images are halved by the mean of four and enlarged without new extremes', () => {
  const pixels = Uint8Array.from({ length: 2 * 28 * 28 }, (_, index) => (index * 7) % 256);
  const halved = halve(pixels);
  assert.equal(halved.length, 2 * PIXELS);
  for (const [image, row, column] of [
    [0, 0, 0],
    [0, 3, 5],
    [1, 0, 0],
    [1, 13, 13],
  ] as const) {
    const at = (y: number, x: number) => pixels[image * 784 + (2 * row + y) * 28 + 2 * column + x]!;
    const mean = Math.floor((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) / 4);
    assert.equal(halved[image * PIXELS + row * SIDE + column], mean);
  }
  assert.deepEqual(new Set(enlarge(new Uint8Array(128).fill(16))), new Set([255]));
  assert.deepEqual(new Set(enlarge(new Uint8Array(64))), new Set([0]));
});

test('standardised images have mean 0 and deviation 1; a blank one is 0', () => {
  const pixels = new Uint8Array(2 * PIXELS).map((_, index) => (index < PIXELS ? (index * 31) % 256 : 9));
  const inputs = standardise(pixels);
  const first = inputs.subarray(0, PIXELS);
  assert.ok(Math.abs(first.reduce((sum, x) => sum + x, 0)) < 1e-4);
  assert.ok(Math.abs(first.reduce((sum, x) => sum + x * x, 0) / PIXELS - 1) < 1e-5);
  assert.deepEqual(new Set(inputs.subarray(PIXELS)), new Set([0]));
});

test('the transforms turn, flip, invert and permute every image by itself', () => {
  const pixels: Uint8Array = Uint8Array.from({ length: 2 * PIXELS }, (_, index) => index % 251);
  const transform = (name: string, input = pixels) => TASKS.find((task) => task.name === name)!.transform(input);
  const again = (name: string, times: number) => {
    let result = pixels;
    for (let time = 0; time < times; time += 1) result = transform(name, result);
    return result;
  };
  assert.deepEqual(again('mnist-rotated-90', 4), pixels);
  assert.deepEqual(again('mnist-rotated-90', 2), transform('fashion-rotated-180'));
  assert.deepEqual(again('fashion-transposed', 2), pixels);
  assert.deepEqual(again('mnist-inverted', 2), pixels);
  // Counter-clockwise: the last column becomes the first row.
  assert.equal(transform('mnist-rotated-90')[1], pixels[2 * SIDE - 1]);
  const permuted = transform('mnist-permuted');
  assert.notDeepEqual(permuted, pixels);
  for (const image of [0, 1]) {
    const sorted = (values: Uint8Array) => values.slice(image * PIXELS, (image + 1) * PIXELS).sort();
    assert.deepEqual(sorted(permuted), sorted(pixels));
  }
});

test('server-sent events are read whatever the chunks, and comments are passed over', async () => {
  const bytes = Buffer.from(
    ': hello\n\nevent: progress\ndata: {"percent":1}\n\nevent: succeeded\r\ndata: a\r\ndata: b\r\n\r\n',
  );
  const expected = [
    { type: 'progress', data: '{"percent":1}' },
    { type: 'succeeded', data: 'a\nb' },
  ];
  for (const size of [1, 2, 7, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const events = [];
    for await (const event of readEvents(ReadableStream.from(chunks))) events.push(event);
    assert.deepEqual(events, expected, `chunks of ${size}`);
  }
});
