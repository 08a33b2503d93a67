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

/**
 * Bytes of a lane's workspace: where they lie in its shared memory, or (of an engine without shared memory) a copy.
 * Every message that carried a view itself would make a new SharedArrayBuffer object, whose size counts against the heap
 * of the receiving thread and has it collect garbage all the time.
 */
export type LaneView = { readonly offset: number; readonly bytes: number } | Uint8Array;

/** From a thread. The bytes stay as they are until the thread gets `{ release: lane }`. */
export type TileMessage =
  | {
      readonly item: number;
      readonly lane: number;
      /** With a lane's first message, and when it has changed. */
      readonly memory: SharedArrayBuffer | undefined;
      readonly output: LaneView;
      readonly masks: readonly LaneView[];
      /** f64. */
      readonly sums: LaneView;
    }
  | { readonly item: number; readonly failed: { code: ErrorCode; detail: string; facts: ErrorFacts } };

export type TileReply = { readonly release: number };

/** For a message: a place if the view lies over shared memory, else the view, which the message copies. */
export function laneView(view: Uint8Array | Float64Array): LaneView {
  if (view.buffer instanceof SharedArrayBuffer) return { offset: view.byteOffset, bytes: view.byteLength };
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The bytes again, in the thread that got the message. */
export function laneBytes(memory: SharedArrayBuffer | undefined, view: LaneView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(memory!, view.offset, view.bytes);
}
