import { availableParallelism } from 'node:os';
import { DTYPE_BYTES } from '../dtype.js';
import { TILE_ELEMENTS } from '../kernels/types.js';
import type { Store } from '../store/types.js';
import type { MergePlan } from './plan.js';

/** Workspaces of a thread (tile-loop.ts). */
const LANES = 2;

/** Elements that a thread takes at a time: as many f32 as the store likes to read at once, in whole tiles. */
export function itemElements({ readBytes }: Pick<Store, 'readBytes'>): number {
  return Math.max(1, Math.round(readBytes / (DTYPE_BYTES.F32 * TILE_ELEMENTS))) * TILE_ELEMENTS;
}

/**
 * Bytes that the buffers of a merge take in a worker: for each thread two workspaces with an item of every input, u, and
 * the masks. It grows with N and with the width of the dtypes, and does not depend on the size of the model.
 */
export function memoryBytes(
  plan: MergePlan,
  store: Pick<Store, 'readBytes'>,
  threads = availableParallelism(),
): number {
  const elements = itemElements(store);
  const inputs = plan.tasks.length + 1;
  const wide = plan.merged.some((tensor) => [tensor.base, ...tensor.tasks].some((input) => input.dtype === 'F64'));
  const slot = elements * (wide ? DTYPE_BYTES.F64 : DTYPE_BYTES.F32);
  const outputs = elements * DTYPE_BYTES.F64 + (plan.tasks.length * elements) / 8;
  return threads * LANES * (inputs * slot + outputs);
}
