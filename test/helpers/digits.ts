/** The digits example as the service takes it: checkpoints that run, and test images as data sets. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { standardise } from '../../examples/digits/data.js';
import { CHECKPOINTS } from '../../examples/digits/places.js';
import { readTest } from '../../examples/digits/sources.js';
import type { Task } from '../../examples/digits/tasks.js';
import { safetensorsFile, type TestTensor } from './safetensors-file.js';

export type Folder = Record<string, Uint8Array>;

/** A committed checkpoint's folder, with its model.json. */
export async function digitsFolder(name: string): Promise<Folder> {
  const folder = join(CHECKPOINTS, name);
  const files = await readdir(folder);
  return Object.fromEntries(await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file))])));
}

/** Standardised images and their classes as `x` and `y`; `count` of them if not all. */
export async function digitsTest(task: Task, count?: number): Promise<TestTensor[]> {
  const { pixels, labels } = await readTest(task);
  const n = Math.min(count ?? labels.length, labels.length);
  const x = standardise(pixels).slice(0, n * (pixels.length / labels.length));
  return [
    { name: 'x', dtype: 'F32', shape: [n, x.length / n], data: new Uint8Array(x.buffer) },
    { name: 'y', dtype: 'U8', shape: [n], data: labels.slice(0, n) },
  ];
}

export const datasetFolder = (tensors: readonly TestTensor[]): Folder => ({
  'data.safetensors': safetensorsFile(tensors),
});
