import type { RawTensor, Tensors } from '../examples/digits/tensor-files.js';
import { layoutSafetensors } from '../src/checkpoint/safetensors-layout.js';

/** A safetensors file in memory. */
export function encodeTensors(tensors: ReadonlyMap<string, RawTensor>): Uint8Array<ArrayBuffer> {
  const layout = layoutSafetensors([...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })));
  const file = new Uint8Array(layout.bytes);
  file.set(layout.header);
  for (const { name, offset } of layout.tensors) file.set(tensors.get(name)!.bytes, offset);
  return file;
}

/** Weights as they lie in a file. */
export function rawWeights(weights: Tensors): Map<string, RawTensor> {
  return new Map(
    [...weights].map(([name, { shape, data }]) => [
      name,
      { dtype: 'F32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
    ]),
  );
}

/** Body and head of a model: what is merged, and what each task keeps. */
export const isHead = (tensor: string) => tensor.startsWith('head.');
