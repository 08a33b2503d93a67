import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import { type LaneView, laneBytes, type TileJob, type TileMessage, type TileReply } from './tile-job.js';

const THREAD_ENTRY = new URL('../../workers/tile-thread.js', import.meta.url);

/** The results of one item; valid until the next one is asked for. */
export interface TileResult {
  readonly output: Uint8Array;
  /** One for each task, if the job has masks. */
  readonly masks: readonly Uint8Array[];
  /** As kernels/types.ts lays them out, one row for each tile. */
  readonly sums: Float64Array;
}

export interface TilePool {
  /** The next item's results, in the order of items whatever the threads' order. */
  next(): Promise<TileResult>;
  /** Ends the threads at once; `next` then rejects. */
  close(): Promise<void>;
}

/**
 * Threads that compute the items of a job. A thread keeps at most two results, so memory is bounded however far one
 * runs ahead. An item that failed rejects `next` when its turn comes: the first fault in order, whoever found it.
 */
export function startTilePool(job: TileJob, threads: number): TilePool {
  const arrived = new Map<number, { message: TileMessage; worker: Worker; memories: Map<number, SharedArrayBuffer> }>();
  let wanted = 0;
  let release: (() => void) | undefined;
  let failure: unknown;
  let waiting: (() => void) | undefined;

  const fail = (error: unknown) => {
    failure ??= error;
    waiting?.();
  };
  const workers = Array.from({ length: threads }, () => {
    const worker = new Worker(THREAD_ENTRY, { workerData: job });
    const memories = new Map<number, SharedArrayBuffer>();
    worker.on('message', (message: TileMessage) => {
      if ('lane' in message && message.memory) memories.set(message.lane, message.memory);
      arrived.set(message.item, { message, worker, memories });
      waiting?.();
    });
    worker.on('error', fail);
    return worker;
  });

  return {
    async next() {
      release?.();
      release = undefined;
      while (!arrived.has(wanted) && failure === undefined) {
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
      const result = arrived.get(wanted);
      if (result === undefined) throw failure;
      arrived.delete(wanted);
      wanted += 1;
      const { message, worker, memories } = result;
      if ('failed' in message) {
        throw new EmrError(message.failed.code, message.failed.detail, message.failed.facts);
      }
      release = () => worker.postMessage({ release: message.lane } satisfies TileReply);
      const bytes = (view: LaneView) => laneBytes(memories.get(message.lane), view);
      const sums = bytes(message.sums);
      return {
        output: bytes(message.output),
        masks: message.masks.map(bytes),
        sums: new Float64Array(sums.buffer, sums.byteOffset, sums.byteLength / 8),
      };
    },
    async close() {
      fail(new EmrError('cancelled', 'The threads were stopped.'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
