import type { Tensors } from '../../examples/digits/tensor-files.js';

/** The body's tensors one after another, in the order of `names`. */
export function flatten(weights: Tensors, names: readonly string[]): Float32Array {
  const parts = names.map((name) => weights.get(name)!.data);
  const flat = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    flat.set(part, offset);
    offset += part.length;
  }
  return flat;
}

/** `weights` with the tensors of `names` taken from `flat`, as {@link flatten} laid them. */
export function unflatten(weights: Tensors, names: readonly string[], flat: Float32Array): Tensors {
  const changed = new Map(weights);
  let offset = 0;
  for (const name of names) {
    const { shape, data } = weights.get(name)!;
    changed.set(name, { shape, data: flat.slice(offset, offset + data.length) });
    offset += data.length;
  }
  return changed;
}

/** base + scale · (mask ⊙ u) in f32, as the service rebuilds a task. */
export const reconstruct = (base: Float32Array, u: Float32Array, mask: Uint8Array, scale: number): Float32Array =>
  base.map((value, index) => (mask[index] ? Math.fround(value + Math.fround(scale * u[index]!)) : value));
