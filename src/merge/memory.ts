import { availableParallelism } from 'node:os';
import { DTYPE_BYTES } from '../dtype.js';
import { TILE_ELEMENTS } from '../kernels/types.js';
import type { Store } from '../store/types.js';
import type { MergePlan } from './plan.js';
import { LANES } from './tile-job.js';

/** Of all threads' buffers together: a merge of many tasks from a remote store reads smaller pieces, not more at once. */
const MAX_BUFFER_BYTES = 64 * 2 ** 20;

/**
 * Elements that a thread takes at a time: as many f32 as the store likes to read at once, or what fits into the buffers,
 * in whole tiles and at least one.
 */
export function itemElements(plan: MergePlan, { readBytes }: Pick<Store, 'readBytes'>, threads: number): number {
  const wanted = readBytes / (DTYPE_BYTES.F32 * TILE_ELEMENTS);
  const fitting = MAX_BUFFER_BYTES / (threads * LANES * laneBytes(plan, TILE_ELEMENTS));
  return Math.max(1, Math.floor(Math.min(wanted, fitting))) * TILE_ELEMENTS;
}

/** Of one workspace with items of so many elements: a slot for every input, u, and the masks. */
function laneBytes(plan: MergePlan, elements: number): number {
  const inputs = plan.tasks.length + 1;
  const wide = plan.merged.some((tensor) => [tensor.base, ...tensor.tasks].some((input) => input.dtype === 'F64'));
  const slot = elements * (wide ? DTYPE_BYTES.F64 : DTYPE_BYTES.F32);
  return inputs * slot + elements * DTYPE_BYTES.F64 + (plan.tasks.length * elements) / 8;
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
  return threads * LANES * laneBytes(plan, itemElements(plan, store, threads));
}
