import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import { sumsLength, TILE_ELEMENTS } from '../kernels/types.js';
import { readerLimits } from './thread-limits.js';
import {
  createResultBuffer,
  LANES,
  type ResultViews,
  resultViews,
  type TileJob,
  type TileMessage,
  type TileReply,
  type TileThreadData,
} from './tile-job.js';

const THREAD_ENTRY = new URL('../../workers/tile-thread.js', import.meta.url);

export interface TilePool {
  /**
   * The results of the next item, which has n elements of this size: in the order of items whatever the threads' order,
   * and valid until the next ones are asked for.
   */
  next(n: number, elementBytes: number): Promise<ResultViews>;
  /** Ends the threads at once; `next` then rejects. */
  close(): Promise<void>;
}

/**
 * Threads that compute the items of a job. A thread keeps at most two results, so memory is bounded however far one
 * runs ahead. An item that failed rejects `next` when its turn comes: the first fault in order, whoever found it.
 */
export function startTilePool(job: TileJob, threads: number): TilePool {
  const arrived = new Map<number, { message: TileMessage; worker: Worker; lanes: readonly ResultViews[] }>();
  let wanted = 0;
  let release: (() => void) | undefined;
  let failure: unknown;
  let waiting: (() => void) | undefined;

  const fail = (error: unknown) => {
    failure ??= error;
    waiting?.();
  };
  const workers = Array.from({ length: threads }, () => {
    const results = Array.from({ length: LANES }, () => createResultBuffer(job));
    const lanes = results.map((buffer) => resultViews(buffer, job));
    const worker = new Worker(THREAD_ENTRY, {
      workerData: { job, results } satisfies TileThreadData,
      resourceLimits: readerLimits(job.store),
    });
    worker.on('message', (message: TileMessage) => {
      arrived.set(message.item, { message, worker, lanes });
      waiting?.();
    });
    worker.on('error', fail);
    return worker;
  });

  return {
    async next(n, elementBytes) {
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
      const { message, worker, lanes } = result;
      if ('failed' in message) {
        throw new EmrError(message.failed.code, message.failed.detail, message.failed.facts);
      }
      release = () => worker.postMessage({ release: message.lane } satisfies TileReply);
      const { output, masks, sums } = lanes[message.lane]!;
      const rows = Math.ceil(n / TILE_ELEMENTS);
      return {
        output: output.subarray(0, n * elementBytes),
        masks: masks.map((mask) => mask.subarray(0, Math.ceil(n / 8))),
        sums: sums.subarray(0, rows * sumsLength(job.files.length - 1)),
      };
    },
    async close() {
      fail(new EmrError('cancelled', 'The threads were stopped.'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
