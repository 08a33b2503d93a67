import { Worker } from 'node:worker_threads';
import type { StoreConfig } from '../store/types.js';
import { READER_LIMITS } from './thread-limits.js';

const THREAD_ENTRY = new URL('../../workers/tile-thread.js', import.meta.url);

/** Long enough for the next merge of a batch; a thread holds its workspaces, tens of megabytes, as long as it lives. */
const IDLE_MS = 30_000;
/**
 * A thread that has read from S3 also holds the SDK and what that has taken, some hundred megabytes: it ends with its
 * merge. Beside reads over a network the start of a thread is short.
 */
const S3_IDLE_MS = 0;

export interface TileThread {
  readonly worker: Worker;
  /** What decides the memory of its workspaces. */
  readonly shape: string;
  /** Buffers that it shares with this side, for the next job that needs no larger ones. */
  readonly buffers: SharedArrayBuffer[];
}

export interface TileThreads {
  /**
   * A thread that waits for work: one that has done a job of this shape before, if there is any, with its code compiled.
   * Those of other shapes are ended: WebAssembly memory that is not used any more is freed for certain only with them.
   */
  take(shape: string): TileThread;
  /** For the next job. A thread in any doubt is terminated instead. */
  give(thread: TileThread): void;
  close(): Promise<void>;
}

/** Tile threads of a process, kept for a while from one merge to the next: starting one takes longer than many a merge. */
export function createTileThreads({ kind }: StoreConfig): TileThreads {
  const idleMs = kind === 's3' ? S3_IDLE_MS : IDLE_MS;
  const idle = new Map<TileThread, NodeJS.Timeout>();

  const start = (shape: string): TileThread => {
    const worker = new Worker(THREAD_ENTRY, { resourceLimits: READER_LIMITS });
    const thread = { worker, shape, buffers: [] };
    // A job that fails in its thread is told to the merge, which listens too; an idle one that fails is just gone.
    worker.on('error', () => {});
    worker.on('exit', () => forget(thread));
    return thread;
  };
  const forget = (thread: TileThread) => {
    clearTimeout(idle.get(thread));
    idle.delete(thread);
  };
  const end = (thread: TileThread) => {
    forget(thread); // at once, so that nobody takes it while it ends
    return thread.worker.terminate();
  };
  return {
    take(shape) {
      for (const thread of idle.keys()) if (thread.shape !== shape) void end(thread);
      const [kept] = idle.keys();
      if (kept === undefined) return start(shape);
      forget(kept);
      kept.worker.ref();
      return kept;
    },
    give(thread) {
      thread.worker.unref(); // idle threads do not keep the process alive
      idle.set(thread, setTimeout(() => void end(thread), idleMs).unref());
    },
    async close() {
      await Promise.all([...idle.keys()].map(end));
    },
  };
}
