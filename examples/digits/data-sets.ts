/** Writes each task's test images as a data set that the service takes: `node dist/examples/digits/data-sets.js <folder>`. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PIXELS, standardise } from './data.js';
import { readTest } from './sources.js';
import { TASKS } from './tasks.js';
import { type RawTensor, writeTensors } from './tensor-files.js';

const folder = process.argv[2];
if (folder === undefined) throw new Error('Name the folder to write to.');

for (const task of TASKS) {
  const { pixels, labels } = await readTest(task);
  const images = standardise(pixels);
  const bytes = new Uint8Array(images.buffer, images.byteOffset, images.byteLength);
  const tensors: [string, RawTensor][] = [
    ['x', { dtype: 'F32', shape: [labels.length, PIXELS], bytes }],
    ['y', { dtype: 'U8', shape: [labels.length], bytes: labels }],
  ];
  await mkdir(join(folder, task.name), { recursive: true });
  await writeTensors(join(folder, task.name, 'data.safetensors'), new Map(tensors));
}
