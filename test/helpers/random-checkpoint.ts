/** Checkpoints of random weights, reproducible from a seed: a base, and fine-tunes that lie near it. */
import { DTYPE_BYTES, elementCount, type FloatDtype } from '../../src/dtype.js';
import { encode } from '../../src/kernels/cast.js';
import { safetensorsFile, type TestTensor } from './safetensors-file.js';

export interface FloatSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of the base, and of each task in turn. */
  readonly dtypes: readonly FloatDtype[];
}

/** Sizes around a tile (65,536 elements), around a byte of the mask, empty, and without dimensions; all float dtypes. */
export const AWKWARD: readonly FloatSpec[] = [
  { name: 'scalar', shape: [], dtypes: ['F32'] },
  { name: 'empty', shape: [0, 4], dtypes: ['F16'] },
  { name: 'one', shape: [1], dtypes: ['BF16'] },
  { name: 'seven', shape: [7], dtypes: ['F16'] },
  { name: 'tile.below', shape: [65_535], dtypes: ['F32'] },
  { name: 'tile.exact', shape: [256, 256], dtypes: ['BF16'] },
  { name: 'tile.above', shape: [65_537], dtypes: ['F32', 'BF16', 'F16'] },
  { name: 'tile.wide', shape: [3, 1_001], dtypes: ['F64', 'F32'] },
  { name: 'large', shape: [300_001], dtypes: ['F32', 'F32', 'BF16'] },
];

/** Uniform in [0, 1), from a linear congruential generator of 32 bits; good enough for test data. */
export function randomNumbers(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * The base and `tasks` fine-tunes. Steps are multiples of 2^-12 and often 0, so that sums of exactly 0 and opposite task
 * vectors occur; the last task leaves the tensor `one` as it is.
 */
export function randomCheckpoints(specs: readonly FloatSpec[], tasks: number, seed: number): TestTensor[][] {
  const checkpoints: TestTensor[][] = Array.from({ length: tasks + 1 }, () => []);
  specs.forEach(({ name, shape, dtypes }, index) => {
    const next = randomNumbers(seed + index * 101);
    const n = elementCount(shape);
    const base = Float32Array.from({ length: n }, () => Math.round((next() - 0.5) * 4096) / 4096);
    checkpoints.forEach((checkpoint, t) => {
      const dtype = dtypes[t % dtypes.length]!;
      const still = t === 0 || (t === tasks && name === 'one');
      const values = still ? base : base.map((weight) => weight + Math.round((next() - 0.5) * 6) / 4096);
      checkpoint.push({ name, dtype, shape, data: encoded(values, dtype) });
    });
  });
  return checkpoints;
}

/** The folder of a checkpoint, single-file. */
export function folderOf(tensors: readonly TestTensor[], side: Readonly<Record<string, string>> = {}) {
  const files = Object.entries(side).map(([name, text]) => [name, Buffer.from(text)] as const);
  return new Map<string, Uint8Array>([['model.safetensors', safetensorsFile(tensors)], ...files]);
}

function encoded(values: Float32Array, dtype: FloatDtype): Uint8Array {
  const bytes = new Uint8Array(values.length * DTYPE_BYTES[dtype]);
  encode(values, dtype, bytes);
  return bytes;
}
