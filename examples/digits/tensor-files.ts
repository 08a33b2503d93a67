import { readFile, writeFile } from 'node:fs/promises';
import { DEFAULT_LIMITS } from '../../src/checkpoint/limits.js';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { parseHeader } from '../../src/checkpoint/safetensors-read.js';
import type { TensorSpec } from '../../src/checkpoint/types.js';

/** A model's weights by name, in PyTorch's layout: a linear layer's weight is [outputs, inputs]. */
export type Tensors = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** A tensor as it lies in a file. */
export interface RawTensor extends Omit<TensorSpec, 'name'> {
  readonly bytes: Uint8Array;
}

/** The tensors of a safetensors file that is in memory. */
export function decodeTensors(file: Uint8Array): Map<string, RawTensor> {
  const { tensors } = parseHeader(file, file.length, DEFAULT_LIMITS);
  return new Map(
    tensors.map(({ name, dtype, shape, offset, bytes }) => [
      name,
      { dtype, shape, bytes: file.subarray(offset, offset + bytes) },
    ]),
  );
}

export async function readTensorBytes(path: string): Promise<Map<string, RawTensor>> {
  return decodeTensors(await readFile(path));
}

/** The weights in a safetensors file that is in memory. All of this example's are F32. */
export function decodeWeights(file: Uint8Array): Tensors {
  return new Map(
    [...decodeTensors(file)].map(([name, { dtype, shape, bytes }]) => {
      if (dtype !== 'F32') throw new Error(`Tensor ${name} is ${dtype}; this example's weights are F32`);
      return [name, { shape, data: new Float32Array(Uint8Array.from(bytes).buffer) }];
    }),
  );
}

/** Writes a safetensors file as Python's safetensors writes it. */
export async function writeTensors(path: string, tensors: ReadonlyMap<string, RawTensor>): Promise<void> {
  const layout = layoutSafetensors([...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })));
  const file = Buffer.alloc(layout.bytes);
  layout.header.copy(file);
  for (const { name, offset } of layout.tensors) file.set(tensors.get(name)!.bytes, offset);
  await writeFile(path, file);
}

export async function writeWeights(path: string, weights: Tensors): Promise<void> {
  const raw = [...weights].map(([name, { shape, data }]): [string, RawTensor] => [
    name,
    { dtype: 'F32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
  ]);
  await writeTensors(path, new Map(raw));
}
