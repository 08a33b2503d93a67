import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { layoutSafetensors } from '../src/checkpoint/safetensors-layout.js';
import type { TensorSpec } from '../src/checkpoint/types.js';

/** Random numbers are drawn once for a block of this many elements; larger tensors repeat it with a shift. */
const BLOCK = 1 << 20;

/** Tensors like a vision transformer's: a few large matrices and many small vectors for each layer. */
export function transformerTensors(layers: number, width: number): TensorSpec[] {
  const f32 = (name: string, ...shape: number[]): TensorSpec => ({ name, shape, dtype: 'F32' });
  return Array.from({ length: layers }, (_, layer) => [
    f32(`layers.${layer}.attention.qkv.weight`, 3 * width, width),
    f32(`layers.${layer}.attention.qkv.bias`, 3 * width),
    f32(`layers.${layer}.attention.out.weight`, width, width),
    f32(`layers.${layer}.attention.out.bias`, width),
    f32(`layers.${layer}.mlp.up.weight`, 4 * width, width),
    f32(`layers.${layer}.mlp.up.bias`, 4 * width),
    f32(`layers.${layer}.mlp.down.weight`, width, 4 * width),
    f32(`layers.${layer}.mlp.down.bias`, width),
    f32(`layers.${layer}.norm.weight`, width),
    f32(`layers.${layer}.norm.bias`, width),
  ]).flat();
}

/** xorshift32: seeded, so that every run has the same files. */
function noise(seed: number, scale: number): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length: BLOCK }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state / 2 ** 31) * scale;
  });
}

/** Writes `<folder>/<name>/model.safetensors` for a base and its fine-tunes; returns the size of one file. */
export function writeModelFiles(folder: string, tensors: TensorSpec[], tasks: number): number {
  const layout = layoutSafetensors(tensors);
  const base = noise(1, 1);
  for (let t = 0; t <= tasks; t++) {
    const weights = t === 0 ? base : noise(t + 1, 0.01).map((delta, i) => base[i]! + delta);
    const bytes = Buffer.from(weights.buffer);
    const target = path.join(folder, t === 0 ? 'base' : `task-${t}`);
    mkdirSync(target, { recursive: true });
    const file = openSync(path.join(target, 'model.safetensors'), 'w');
    writeSync(file, layout.header);
    for (const tensor of layout.tensors) {
      for (let done = 0; done < tensor.bytes; done += bytes.byteLength) {
        writeSync(file, bytes, 0, Math.min(bytes.byteLength, tensor.bytes - done));
      }
    }
    closeSync(file);
  }
  return layout.bytes;
}
