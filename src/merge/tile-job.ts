/** What a merge hands to its tile threads, and what they hand back: plain data, shared by both sides. */
import type { RecordedFile } from '../catalog/sources.js';
import type { FloatDtype } from '../dtype.js';
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { EngineName } from '../kernels/types.js';
import type { StoreConfig } from '../store/types.js';
import type { TileProgram } from './methods/types.js';

export interface TileJob {
  readonly store: StoreConfig;
  readonly engine: EngineName;
  /** Files of the base and then of each task; a tensor's input points into these. */
  readonly files: readonly (readonly RecordedFile[])[];
  readonly tensors: readonly TileTensor[];
  /** Most elements of a tile item; a multiple of TILE_ELEMENTS. */
  readonly itemElements: number;
  readonly masks: boolean;
  /** Int32Array of one: the next item to be taken; threads add to it. */
  readonly cursor: SharedArrayBuffer;
}

export interface TileTensor {
  readonly name: string;
  readonly n: number;
  readonly output: FloatDtype;
  readonly program: TileProgram;
  /** Of the base and then of each task. */
  readonly inputs: readonly { readonly file: number; readonly offset: number; readonly dtype: FloatDtype }[];
}

/** A run of elements of one tensor: the unit that a thread takes, computes and hands back. */
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

/** From a thread. The views stay as they are until the thread gets `{ release: lane }`. */
export type TileMessage =
  | {
      readonly item: number;
      readonly lane: number;
      readonly output: Uint8Array;
      readonly masks: readonly Uint8Array[];
      readonly sums: Float64Array;
    }
  | { readonly item: number; readonly failed: { code: ErrorCode; detail: string; facts: ErrorFacts } };

export type TileReply = { readonly release: number };
