import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import type { TileJob, TileMessage, TileReply } from './tile-job.js';

const THREAD_ENTRY = new URL('../../workers/tile-thread.js', import.meta.url);

/** The results of one item. The views are valid until the next one is asked for. */
export type TileResult = Extract<TileMessage, { lane: number }>;

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
  const arrived = new Map<number, { message: TileMessage; worker: Worker }>();
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
    worker.on('message', (message: TileMessage) => {
      arrived.set(message.item, { message, worker });
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
      const { message, worker } = result;
      if ('failed' in message) {
        throw new EmrError(message.failed.code, message.failed.detail, message.failed.facts);
      }
      release = () => worker.postMessage({ release: message.lane } satisfies TileReply);
      return message;
    },
    async close() {
      fail(new EmrError('cancelled', 'The threads were stopped.'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
