import { createSources } from '../catalog/sources.js';
import { type ErrorCode, type ErrorFacts, toEmrError } from '../errors.js';
import { loadEngine } from '../kernels/engine.js';
import type { ReconstructWorkspace } from '../kernels/types.js';
import { openStore } from '../store/open.js';
import type { StoreConfig } from '../store/types.js';
import { collectGarbage } from './collect-garbage.js';
import { makePiece } from './make-piece.js';
import { cutPieces, PIECE_ELEMENTS } from './pieces.js';
import { createSegmentReaders } from './segment-readers.js';
import type { Segment } from './virtual-file.js';

/** What a thread is told. */
export type ReconstructOrder =
  | {
      /** Begin a stream: its number, the key prefix of the merge's attempt, and the bytes wanted of these segments. */
      readonly begin: number;
      readonly prefix: string;
      readonly segments: readonly Segment[];
      readonly start: number;
      readonly end: number;
      /** Several threads share a download: this one makes every `of`-th piece, from number `first` on. */
      readonly first: number;
      readonly of: number;
      /** Chunks that may be out at a time. */
      readonly credit: number;
    }
  /** A chunk of the stream is not needed any more. */
  | { readonly free: number; readonly chunk: number }
  /** Nobody wants the rest, but its last chunks may still be on their way to the socket. */
  | { readonly stop: number }
  /** None of the stream's chunks is needed any more. */
  | { readonly done: number };

/** What it answers: where the next chunk of a stream lies; `memory` comes with the first chunk in that memory. */
export type ReconstructAnswer =
  | {
      readonly stream: number;
      readonly chunk: number;
      readonly memory: SharedArrayBuffer | undefined;
      readonly offset: number;
      readonly bytes: number;
    }
  /** A chunk number that will not be used again: its memory can go. */
  | { readonly dropped: number }
  | { readonly stream: number; readonly end: true }
  | { readonly stream: number; readonly failed: { code: ErrorCode; detail: string; facts: ErrorFacts } };

export interface ReconstructPort {
  postMessage(answer: ReconstructAnswer): void;
  on(event: 'message', listener: (order: ReconstructOrder) => void): unknown;
}

/** Workspaces kept for later streams; a new one is a WebAssembly memory of some 3 MiB. */
const MAX_IDLE = 16;

/** A workspace and its number, by which the chunk in it is known. */
interface Slot {
  readonly number: number;
  readonly workspace: ReconstructWorkspace;
  announced: boolean;
}

interface Stream {
  credit: number;
  stopped: boolean;
  /** Slots whose chunks are out. */
  readonly out: Map<number, Slot>;
  wake: () => void;
  ended: Promise<void>;
}

/** Serves streams until the thread is ended: each goes ahead of its consumer as far as its credit allows. */
export async function runReconstructLoop(config: StoreConfig, port: ReconstructPort): Promise<void> {
  const store = await openStore(config);
  const sources = createSources(store);
  const engine = await loadEngine('simd');
  const streams = new Map<number, Stream>();
  const idle: Slot[] = [];
  let slots = 0;

  const take = (): Slot =>
    idle.pop() ?? { number: slots++, workspace: engine.createReconstruct(PIECE_ELEMENTS), announced: false };
  const give = (slot: Slot) => {
    if (idle.length < MAX_IDLE) idle.push(slot);
    else port.postMessage({ dropped: slot.number });
  };

  const serve = async (order: Extract<ReconstructOrder, { begin: number }>, stream: Stream) => {
    const readers = createSegmentReaders(store, sources, order.prefix);
    try {
      let number = 0;
      for (const piece of cutPieces(order.segments, order.start, order.end, PIECE_ELEMENTS)) {
        if (number++ % order.of !== order.first) continue;
        while (stream.credit === 0 && !stream.stopped) {
          await new Promise<void>((resolve) => {
            stream.wake = resolve;
          });
        }
        if (stream.stopped) return;
        stream.credit -= 1;
        const slot = take();
        stream.out.set(slot.number, slot);
        const bytes = await makePiece(piece, readers, slot.workspace);
        const memory = slot.announced ? undefined : (bytes.buffer as SharedArrayBuffer);
        slot.announced = true;
        port.postMessage({
          stream: order.begin,
          chunk: slot.number,
          memory,
          offset: bytes.byteOffset,
          bytes: bytes.byteLength,
        });
        // Local reads do not wait, so that other streams and orders would.
        await new Promise((resolve) => setImmediate(resolve));
      }
      port.postMessage({ stream: order.begin, end: true });
    } catch (error) {
      const { code, detail, facts } = toEmrError(error);
      port.postMessage({ stream: order.begin, failed: { code, detail, facts } });
    } finally {
      await readers.close();
    }
  };

  port.on('message', (order) => {
    if ('begin' in order) {
      const stream: Stream = {
        credit: order.credit,
        stopped: false,
        out: new Map(),
        wake: () => {},
        ended: Promise.resolve(),
      };
      streams.set(order.begin, stream);
      stream.ended = serve(order, stream);
      return;
    }
    const number = 'free' in order ? order.free : 'stop' in order ? order.stop : order.done;
    const stream = streams.get(number);
    if (stream === undefined) return;
    if ('free' in order) {
      give(stream.out.get(order.chunk)!);
      stream.out.delete(order.chunk);
      stream.credit += 1;
    } else {
      stream.stopped = true;
    }
    stream.wake();
    if ('done' in order) {
      streams.delete(number);
      // A read may still be filling one of them.
      void stream.ended.then(() => {
        stream.out.forEach(give);
        if (config.kind === 's3' && streams.size === 0) collectGarbage();
      });
    }
  });
}
