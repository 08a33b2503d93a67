import { Worker } from 'node:worker_threads';
import type { StoreConfig } from '../store/types.js';
import { readerLimits } from './thread-limits.js';

const THREAD_ENTRY = new URL('../../workers/tile-thread.js', import.meta.url);

/** Long enough for the next merge of a batch; a thread holds its workspaces, tens of megabytes, as long as it lives. */
const IDLE_MS = 30_000;

export interface TileThread {
  readonly worker: Worker;
  /** Buffers that it shares with this side, for the next job that needs no larger ones. */
  readonly buffers: SharedArrayBuffer[];
}

export interface TileThreads {
  /** A thread that waits for work: one that has done a job before, if there is any, with its code compiled. */
  take(): TileThread;
  /** For the next job. A thread in any doubt is terminated instead. */
  give(thread: TileThread): void;
  close(): Promise<void>;
}

/** Tile threads of a process, kept for a while from one merge to the next: starting one takes longer than many a merge. */
export function createTileThreads(config: StoreConfig): TileThreads {
  const idle = new Map<TileThread, NodeJS.Timeout>();

  const start = (): TileThread => {
    const worker = new Worker(THREAD_ENTRY, { resourceLimits: readerLimits(config) });
    const thread = { worker, buffers: [] };
    // A job that fails in its thread is told to the merge, which listens too; an idle one that fails is just gone.
    worker.on('error', () => {});
    worker.on('exit', () => {
      clearTimeout(idle.get(thread));
      idle.delete(thread);
    });
    return thread;
  };
  return {
    take() {
      const [kept] = idle.keys();
      if (kept === undefined) return start();
      clearTimeout(idle.get(kept));
      idle.delete(kept);
      kept.worker.ref();
      return kept;
    },
    give(thread) {
      thread.worker.unref(); // idle threads do not keep the process alive
      idle.set(thread, setTimeout(() => void thread.worker.terminate(), IDLE_MS).unref());
    },
    async close() {
      await Promise.all([...idle.keys()].map(({ worker }) => worker.terminate()));
    },
  };
}
