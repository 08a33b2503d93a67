import { availableParallelism } from 'node:os';
import { DTYPE_BYTES } from '../dtype.js';
import { LOWER_BINS, UPPER_BINS } from '../kernels/rules/trim.js';
import { TILE_ELEMENTS } from '../kernels/types.js';
import type { Store } from '../store/types.js';
import type { MergedTensor, MergePlan } from './plan.js';
import { surveyStages } from './stages.js';
import { LANES } from './tile-job.js';

/** Of all threads' buffers together: a merge of many tasks from a remote store reads smaller pieces, not more at once. */
const MAX_BUFFER_BYTES = 64 * 2 ** 20;

/** Of a histogram of magnitudes: f64 in a thread, u64 where threads share it. */
const COUNT_BYTES = 8;

/**
 * Elements that a thread takes at a time: as many f32 as the store likes to read at once, or what fits into the buffers,
 * in whole tiles and at least one.
 */
export function itemElements(plan: MergePlan, { readBytes }: Pick<Store, 'readBytes'>, threads: number): number {
  const wanted = readBytes / (DTYPE_BYTES.F32 * TILE_ELEMENTS);
  const fitting = MAX_BUFFER_BYTES / (threads * LANES * laneBytes(plan, TILE_ELEMENTS));
  return Math.max(1, Math.floor(Math.min(wanted, fitting))) * TILE_ELEMENTS;
}

/** Workspaces of each thread. One where a tensor is held whole, since that can be larger than all the rest. */
export function lanesOf({ merged }: Pick<MergePlan, 'merged'>): number {
  return merged.some(({ program }) => program.kind === 'regmean') ? 1 : LANES;
}

/** Of one workspace with items of so many elements: a slot for every input, u, and the masks. */
function laneBytes({ merged, tasks }: MergePlan, elements: number): number {
  const statistics = merged.some((tensor) => goesAlong(tensor)) ? tasks.length : 0;
  const inputs = 1 + tasks.length + statistics;
  const wide = merged.some((tensor) => {
    const along = goesAlong(tensor) ? tensor.statistics! : [];
    return [tensor.base, ...tensor.tasks, ...along].some((input) => input.dtype === 'F64');
  });
  const slot = elements * (wide ? DTYPE_BYTES.F64 : DTYPE_BYTES.F32);
  return inputs * slot + elements * DTYPE_BYTES.F64 + (tasks.length * elements) / 8;
}

const goesAlong = ({ statistics, program }: MergedTensor) => statistics !== undefined && program.kind === 'rule';

/**
 * Bytes that the buffers of a merge take in a worker: for each thread its workspaces with an item of every input, u, and
 * the masks; histograms, where there are thresholds to find; and the largest system that RegMean solves. It grows with N
 * and with the width of the dtypes, and but for RegMean it does not depend on the size of the model.
 */
export function memoryBytes(
  plan: MergePlan,
  store: Pick<Store, 'readBytes'>,
  threads = availableParallelism(),
): number {
  const stages = surveyStages(plan);
  const histograms = plan.tasks.length * COUNT_BYTES;
  const shared = stages.includes('upper') ? histograms * (UPPER_BINS + LOWER_BINS) : 0;
  const inLane = stages.includes('upper') || stages.includes('select') ? histograms * (UPPER_BINS + LOWER_BINS) : 0;
  const system = plan.merged.reduce((most, tensor) => Math.max(most, systemBytes(tensor)), 0);
  const lane = laneBytes(plan, itemElements(plan, store, threads)) + inLane + system;
  return threads * lanesOf(plan) * lane + shared;
}

/** Of kernels/rules/regmean.ts and ../merge/whole-tensor.ts: the matrices of one system, in f64, and whole weights in f32. */
function systemBytes({ program, n }: MergedTensor): number {
  if (program.kind !== 'regmean') return 0;
  const gram = program.inputs ** 2 * DTYPE_BYTES.F64;
  const weight = n * DTYPE_BYTES.F64;
  return 4 * gram + 4 * weight;
}
