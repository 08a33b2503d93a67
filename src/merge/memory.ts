import { availableParallelism } from 'node:os';
import { DTYPE_BYTES } from '../dtype.js';
import { TILE_ELEMENTS } from '../kernels/types.js';
import type { MergePlan } from './plan.js';

/** The file store's items: 1 MiB of f32 from each input (run.ts, defaultItemElements). */
const ITEM_ELEMENTS = 4 * TILE_ELEMENTS;
/** Workspaces of a thread (tile-loop.ts). */
const LANES = 2;

/**
 * Bytes that the buffers of a merge take in a worker: for each thread two workspaces with an item of every input, u, and
 * the masks. It grows with N and with the width of the dtypes, and does not depend on the size of the model.
 */
export function memoryBytes(plan: MergePlan, threads = availableParallelism()): number {
  const inputs = plan.tasks.length + 1;
  const wide = plan.merged.some((tensor) => [tensor.base, ...tensor.tasks].some((input) => input.dtype === 'F64'));
  const slot = ITEM_ELEMENTS * (wide ? DTYPE_BYTES.F64 : DTYPE_BYTES.F32);
  const outputs = ITEM_ELEMENTS * DTYPE_BYTES.F64 + (plan.tasks.length * ITEM_ELEMENTS) / 8;
  return threads * LANES * (inputs * slot + outputs);
}
