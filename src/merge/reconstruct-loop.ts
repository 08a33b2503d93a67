import { createSources, type Sources } from '../catalog/sources.js';
import { DTYPE_BYTES } from '../dtype.js';
import { type ErrorCode, type ErrorFacts, toEmrError } from '../errors.js';
import { loadEngine } from '../kernels/engine.js';
import type { Engine } from '../kernels/types.js';
import { openStore } from '../store/open.js';
import type { ObjectReader, Store, StoreConfig } from '../store/types.js';
import type { Segment, SegmentFile } from './virtual-file.js';
import { createVirtualReader } from './virtual-reader.js';

/** What a thread is told: begin a stream, a slot of it is free again, or nobody wants the rest. */
export type ReconstructOrder =
  | {
      readonly begin: number;
      /** Key prefix of the merge's attempt. */
      readonly prefix: string;
      readonly segments: readonly Segment[];
      readonly start: number;
      readonly end: number;
      /** The ring: the thread fills slot after slot. */
      readonly slots: readonly SharedArrayBuffer[];
    }
  | { readonly free: number }
  | { readonly stop: number };

/** What it answers: so many bytes are in the next slot (0: that was all), or it cannot go on. */
export type ReconstructAnswer =
  | { readonly stream: number; readonly bytes: number }
  | { readonly stream: number; readonly failed: { code: ErrorCode; detail: string; facts: ErrorFacts } };

export interface ReconstructPort {
  postMessage(answer: ReconstructAnswer): void;
  on(event: 'message', listener: (order: ReconstructOrder) => void): unknown;
}

/** Local reads: base, u and output of one computation stay in the processor's L2 cache. */
const LOCAL_ELEMENTS = 32_768;

interface Stream {
  free: number;
  stopped: boolean;
  wake: () => void;
}

/** Serves streams until the thread is ended: each fills its ring as slots become free. */
export async function runReconstructLoop(config: StoreConfig, port: ReconstructPort): Promise<void> {
  const store = await openStore(config);
  const sources = createSources(store);
  const engine = await loadEngine('simd');
  const elements = config.kind === 'file' ? LOCAL_ELEMENTS : store.readBytes / DTYPE_BYTES.F32;
  const workspaces = workspacePool(engine, elements);
  const streams = new Map<number, Stream>();

  const serve = async (order: Extract<ReconstructOrder, { begin: number }>) => {
    const stream: Stream = { free: order.slots.length, stopped: false, wake: () => {} };
    streams.set(order.begin, stream);
    const workspace = workspaces.take();
    const readers = createSegmentReaders(store, sources, order.prefix);
    try {
      const reader = createVirtualReader(order, order.start, order.end, { workspace, elements, open: readers.open });
      for (let turn = 0; !stream.stopped; turn++) {
        while (stream.free === 0 && !stream.stopped) {
          await new Promise<void>((resolve) => {
            stream.wake = resolve;
          });
        }
        if (stream.stopped) break;
        stream.free -= 1;
        const bytes = await reader.read(new Uint8Array(order.slots[turn % order.slots.length]!));
        port.postMessage({ stream: order.begin, bytes });
        if (bytes === 0) break;
      }
    } catch (error) {
      const { code, detail, facts } = toEmrError(error);
      port.postMessage({ stream: order.begin, failed: { code, detail, facts } });
    } finally {
      streams.delete(order.begin);
      workspaces.give(workspace);
      await readers.close();
    }
  };

  port.on('message', (order) => {
    if ('begin' in order) return void serve(order);
    const stream = streams.get('free' in order ? order.free : order.stop);
    if (stream === undefined) return;
    if ('free' in order) stream.free += 1;
    else stream.stopped = true;
    stream.wake();
  });
}

/** Opens the files that segments read from, each once. */
function createSegmentReaders(store: Store, sources: Sources, prefix: string) {
  const opened = new Map<string, Promise<ObjectReader>>();
  return {
    open(file: SegmentFile): Promise<ObjectReader> {
      const name = 'artifact' in file ? `artifact ${file.artifact}` : `base ${file.base.name}`;
      const known = opened.get(name);
      if (known) return known;
      const reader = 'artifact' in file ? store.openReader(prefix + file.artifact) : sources.open(file.base);
      opened.set(name, reader);
      return reader;
    },
    async close(): Promise<void> {
      const settled = await Promise.allSettled(opened.values());
      await Promise.allSettled(settled.map((one) => (one.status === 'fulfilled' ? one.value.close() : undefined)));
    },
  };
}

/** Workspaces are used again by later streams: a new one is a WebAssembly memory, which takes longer than a small file. */
function workspacePool(engine: Engine, elements: number) {
  const idle: ReturnType<Engine['createReconstruct']>[] = [];
  return {
    take: () => idle.pop() ?? engine.createReconstruct(elements),
    give: (workspace: ReturnType<Engine['createReconstruct']>) => void idle.push(workspace),
  };
}
