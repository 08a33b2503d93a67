/** What a merge hands to its tile threads, and what they hand back: plain data, shared by both sides. */
import type { RecordedFile } from '../catalog/sources.js';
import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import type { ErrorCode, ErrorFacts } from '../errors.js';
import { type EngineName, sumsLength, TILE_ELEMENTS } from '../kernels/types.js';
import type { StoreConfig } from '../store/types.js';
import { isWhole, type ThreadProgram } from './thread-program.js';

/** Workspaces of a thread: while one's results are written, the other is filled and computed. */
export const LANES = 2;

export type JobOutput = 'masks' | 'model' | 'figures';

export interface TileJob {
  readonly store: StoreConfig;
  readonly engine: EngineName;
  /** N. */
  readonly tasks: number;
  /** Files of the base, of each task, and of each task's statistics; a tensor's input points into these. */
  readonly files: readonly (readonly RecordedFile[])[];
  readonly tensors: readonly TileTensor[];
  /** Most elements of a tile item; a multiple of TILE_ELEMENTS. */
  readonly itemElements: number;
  /** u with masks, one model, or nothing but figures (in the place of sums). */
  readonly output: JobOutput;
  /** Workspaces of each thread. */
  readonly lanes: number;
  /** Int32Array of one: the next group of items to be taken; threads add to it. */
  readonly cursor: SharedArrayBuffer;
}

export interface TileTensor {
  readonly name: string;
  readonly n: number;
  readonly output: FloatDtype;
  readonly program: ThreadProgram;
  /** Of the base, of each task, and of each task's statistic if it goes with the elements. */
  readonly inputs: readonly TileInput[];
  /** Of each task's Gram matrix. */
  readonly grams?: readonly TileInput[] | undefined;
  /** That this job reads of it. */
  readonly bytes: number;
}

export interface TileInput {
  readonly file: number;
  readonly offset: number;
  readonly dtype: FloatDtype;
}

/** A run of elements of one tensor: the unit that a thread computes and hands back. */
export interface TileItem {
  readonly tensor: number;
  readonly start: number;
  readonly n: number;
}

/** All items in the order of the output's bytes. */
export function tileItems(tensors: readonly { readonly n: number }[], itemElements: number): TileItem[] {
  return tensors.flatMap(({ n }, tensor) =>
    Array.from({ length: Math.ceil(n / itemElements) }, (_, i) => {
      const start = i * itemElements;
      return { tensor, start, n: Math.min(itemElements, n - start) };
    }),
  );
}

/**
 * What a thread takes at a time: the numbers of a tensor's items where something must be found out from all of it first,
 * else of one item.
 */
export function tileGroups(tensors: readonly Pick<TileTensor, 'program'>[], items: readonly TileItem[]): number[][] {
  const groups: number[][] = [];
  for (const [number, { tensor, start }] of items.entries()) {
    if (start > 0 && isWhole(tensors[tensor]!.program)) groups.at(-1)!.push(number);
    else groups.push([number]);
  }
  return groups;
}

/**
 * Where a lane's results lie in the buffer that it shares with the thread that writes them. Not the kernel's own memory:
 * that would live on in the receiving process until a full garbage collection, tens of megabytes after every merge.
 */
export interface ResultViews {
  /** Of the largest item and dtype. */
  readonly output: Uint8Array;
  readonly masks: readonly Uint8Array[];
  /** Rows as kernels/types.ts lays them out. */
  readonly sums: Float64Array;
}

/** The lengths of a result's parts for a job, in bytes. */
function resultBytes({ tasks, itemElements, tensors, output }: TileJob) {
  const rows = itemElements / TILE_ELEMENTS;
  const widest = tensors.reduce((most, tensor) => Math.max(most, DTYPE_BYTES[tensor.output]), 1);
  return {
    output: output === 'figures' ? 0 : itemElements * widest,
    mask: itemElements / 8,
    masks: output === 'masks' ? tasks : 0,
    sums: rows * sumsLength(tasks),
  };
}

export function resultBufferBytes(job: TileJob): number {
  const { output, mask, masks, sums } = resultBytes(job);
  return output + masks * mask + 8 * sums;
}

export function resultViews(buffer: SharedArrayBuffer, job: TileJob): ResultViews {
  const { output, mask, masks, sums } = resultBytes(job);
  return {
    output: new Uint8Array(buffer, 0, output),
    masks: Array.from({ length: masks }, (_, t) => new Uint8Array(buffer, output + t * mask, mask)),
    sums: new Float64Array(buffer, output + masks * mask, sums),
  };
}

/** What a thread starts with: the job, and a result buffer for each of its lanes. */
export interface TileThreadData {
  readonly job: TileJob;
  readonly results: readonly SharedArrayBuffer[];
}

/** From a thread: an item's results are in its lane's buffer, and stay there until `{ release: lane }`; or all is done. */
export type TileMessage =
  | { readonly done: true }
  | { readonly item: number; readonly lane: number }
  | { readonly item: number; readonly failed: { code: ErrorCode; detail: string; facts: ErrorFacts } };

export type TileReply = { readonly release: number };
