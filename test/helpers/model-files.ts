/** Small checkpoints with random weights, the same in every run: a base and its fine-tunes. */
import type { FloatDtype } from '../../src/dtype.js';
import { DTYPE_BYTES, elementCount } from '../../src/dtype.js';
import { safetensorsFile, type TestTensor } from './safetensors-file.js';

/** Numbers in [−1, 1), from a linear congruential generator whose low bits are dropped. */
export function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  };
}

/** A float tensor of random weights about ±`scale`, exact in its dtype. */
export function randomTensor(
  name: string,
  shape: readonly number[],
  seed: number,
  { dtype = 'F32' as FloatDtype, scale = 1 } = {},
): TestTensor {
  const next = randomNumbers(seed);
  const values = Float64Array.from({ length: elementCount(shape) }, () => Math.fround(next() * scale));
  return { name, dtype, shape, data: encode(values, dtype) };
}

/** F16 and BF16 are cut off, not rounded: any bits serve, as long as they are finite. */
function encode(values: Float64Array, dtype: FloatDtype): Uint8Array {
  if (dtype === 'F64') return new Uint8Array(values.buffer);
  const single = Float32Array.from(values);
  if (dtype === 'F32') return new Uint8Array(single.buffer);
  const bits = new Uint32Array(single.buffer);
  const half = Uint16Array.from(bits, (word) => (dtype === 'BF16' ? word >>> 16 : cutToHalf(word)));
  return new Uint8Array(half.buffer);
}

function cutToHalf(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const exponent = ((word >>> 23) & 0xff) - 127 + 15;
  if (exponent <= 0) return sign;
  return sign | (Math.min(exponent, 30) << 10) | ((word >>> 13) & 0x3ff);
}

export function integers(name: string, values: readonly number[]): TestTensor {
  const data = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, dtype: 'I64', shape: [values.length], data };
}

export interface Family {
  readonly base: readonly TestTensor[];
  readonly tasks: readonly (readonly TestTensor[])[];
}

/**
 * One of every case of SEMANTICS' table: merged tensors of all float dtypes, odd sizes, 0 dimensions and no elements;
 * an integer tensor that is shared and one that is not; a head of each task's own shape; a tensor that only tasks have.
 */
export function family(tasks = 3, seed = 1): Family {
  const body = (from: number, scale: number) => [
    randomTensor('layers.0.bias', [53], from, { scale }),
    randomTensor('layers.0.weight', [37, 53], from + 1, { scale }),
    randomTensor('layers.1.weight', [16, 33], from + 2, { dtype: 'BF16', scale }),
    randomTensor('layers.2.weight', [129], from + 3, { dtype: 'F16', scale }),
    randomTensor('scale', [], from + 4, { scale }),
    randomTensor('nothing', [0, 4], from + 5, { scale }),
    integers('position_ids', [0, 1, 2, 3]),
  ];
  const own = (t: number) => seed * 1000 + t * 10;
  return {
    base: [...body(own(0), 1), integers('steps', [0]), randomTensor('head.weight', [10, 5], own(0) + 6)],
    tasks: Array.from({ length: tasks }, (_, t) => [
      ...body(own(t + 1), 1),
      integers('steps', [t + 1]),
      randomTensor('head.weight', [t + 2, 5], own(t + 1) + 6),
      randomTensor('adapter', [3], own(t + 1) + 7),
    ]),
  };
}

/** A folder of one file, `model.safetensors`, and a config that names it. */
export function singleFile(tensors: readonly TestTensor[], note = 'test'): Record<string, string | Uint8Array> {
  return { 'config.json': `{ "note": "${note}" }\n`, 'model.safetensors': safetensorsFile(tensors) };
}

/** The same tensors in shards with their index, dealt out in turn. */
export function sharded(tensors: readonly TestTensor[], shards = 2): Record<string, string | Uint8Array> {
  const number = (at: number) => String(at).padStart(5, '0');
  const names = Array.from({ length: shards }, (_, i) => `model-${number(i + 1)}-of-${number(shards)}.safetensors`);
  const total = tensors.reduce((sum, { dtype, shape }) => sum + elementCount(shape) * DTYPE_BYTES[dtype], 0);
  const map = Object.fromEntries(tensors.map(({ name }, i) => [name, names[i % shards]!]));
  return {
    'config.json': '{"sharded": true}',
    'model.safetensors.index.json': JSON.stringify({ metadata: { total_size: total }, weight_map: map }),
    ...Object.fromEntries(names.map((file, s) => [file, safetensorsFile(tensors.filter((_, i) => i % shards === s))])),
  };
}

export interface ReadTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Buffer;
}

/** The tensors of a safetensors file, read without any code of src/, in the order of its header. */
export function readSafetensors(file: Uint8Array): Map<string, ReadTensor> {
  const whole = Buffer.from(file);
  const start = 8 + Number(whole.readBigUInt64LE());
  const header = JSON.parse(whole.toString('utf8', 8, start)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          return [name, { dtype, shape, bytes: whole.subarray(start + from, start + to) }];
        },
      ),
  );
}

export function floatsOf({ bytes }: { readonly bytes: Uint8Array }): Float32Array {
  return new Float32Array(Uint8Array.from(bytes).buffer);
}
