import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { enlarge, halve, type ImageSet, pick, readIdx } from './data.js';
import { HELD_OUT, mnistFolder } from './places.js';
import type { Source, Task } from './tasks.js';
import { readTensorBytes } from './tensor-files.js';

/** Of the 10,000 test images of MNIST and of Fashion-MNIST every fifth is used: the whole set, not its easy half. */
const TEST_STRIDE = 5;
/** Of the 1,797 UCI digits the last 500 are for testing, the others for training. */
const UCI_TEST = 500;

export interface Locations {
  readonly mnist: string;
  readonly fashion: string;
  readonly uci: string;
}

/** Reads a file, unpacked when it is there as .gz only. */
async function readMaybePacked(path: string): Promise<Buffer> {
  const packed = await readFile(`${path}.gz`).catch(() => undefined);
  return packed ? gunzipSync(packed) : readFile(path);
}

/** Images and labels of a folder in MNIST's four-file layout, at 14 × 14. */
async function readFolder(folder: string, part: 'train' | 't10k'): Promise<ImageSet> {
  const [images, labels] = await Promise.all([
    readMaybePacked(join(folder, `${part}-images-idx3-ubyte`)),
    readMaybePacked(join(folder, `${part}-labels-idx1-ubyte`)),
  ]);
  return { pixels: halve(readIdx(images)), labels: readIdx(labels) };
}

/** The UCI digits as they are: 8 × 8, values 0 … 16. A line of the file has 64 of them and the class. */
async function readUci(file: string): Promise<ImageSet> {
  const rows = gunzipSync(await readFile(file))
    .toString('ascii')
    .trim()
    .split('\n');
  const numbers = rows.map((row) => row.split(',').map(Number));
  return {
    pixels: Uint8Array.from(numbers.flatMap((row) => row.slice(0, 64))),
    labels: Uint8Array.from(numbers, (row) => row[64]!),
  };
}

const every = (count: number, first = 0, step = 1) => Array.from({ length: count }, (_, index) => first + index * step);

/** All images of a source that may be trained on, before any transform. */
export async function readTraining(source: Source, locations: Locations): Promise<ImageSet> {
  if (source !== 'uci') return readFolder(locations[source], 'train');
  const all = await readUci(locations.uci);
  const training = pick(all, every(all.labels.length - UCI_TEST));
  return { ...training, pixels: enlarge(training.pixels) };
}

/** The test images that are committed: what {@link readTest} reads of Fashion-MNIST and of the UCI digits. */
export async function cutHeldOut(locations: Locations): Promise<Record<'fashion' | 'uci', ImageSet>> {
  const [fashion, uci] = await Promise.all([readFolder(locations.fashion, 't10k'), readUci(locations.uci)]);
  return {
    fashion: pick(fashion, every(fashion.labels.length / TEST_STRIDE, 0, TEST_STRIDE)),
    uci: pick(uci, every(UCI_TEST, uci.labels.length - UCI_TEST)),
  };
}

async function readHeldOut(source: Source): Promise<ImageSet> {
  if (source === 'mnist') {
    const all = await readFolder(mnistFolder(), 't10k');
    return pick(all, every(all.labels.length / TEST_STRIDE, 0, TEST_STRIDE));
  }
  const tensors = await readTensorBytes(join(HELD_OUT, `${source}.safetensors`));
  const images = { pixels: tensors.get('images')!.bytes, labels: tensors.get('labels')!.bytes };
  return source === 'uci' ? { ...images, pixels: enlarge(images.pixels) } : images;
}

/** A task's test images, transformed: 2,000 (500 for the UCI digits), always the same ones. */
export async function readTest(task: Task): Promise<ImageSet> {
  const images = await readHeldOut(task.source);
  return { ...images, pixels: task.transform(images.pixels) };
}
