import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import { sumsLength, TILE_ELEMENTS } from '../kernels/types.js';
import {
  type ResultViews,
  resultBufferBytes,
  resultViews,
  type TileJob,
  type TileMessage,
  type TileReply,
  type TileThreadData,
} from './tile-job.js';
import type { TileThread, TileThreads } from './tile-threads.js';

export interface TilePool {
  /**
   * The results of the next item, which has n elements of this size: in the order of items whatever the threads' order,
   * and valid until the next ones are asked for.
   */
  next(n: number, elementBytes: number): Promise<ResultViews>;
  /** After the last item: gives the threads back when they have closed their files. */
  finish(): Promise<void>;
  /** Ends the threads at once, but those that were given back; `next` then rejects. */
  close(): Promise<void>;
}

/**
 * Threads that compute the items of a job. A thread keeps one result in each lane at most, so memory is bounded however
 * far one runs ahead. An item that failed rejects `next` when its turn comes: the first fault in order, whoever found it.
 * `first` is the number of the first item, where those before are done.
 */
export function startTilePool(threads: TileThreads, job: TileJob, count: number, first = 0): TilePool {
  const arrived = new Map<number, { message: ItemMessage; port: MessagePort; lanes: readonly ResultViews[] }>();
  let wanted = first;
  let release: (() => void) | undefined;
  let failure: unknown;
  let waiting: (() => void) | undefined;

  const fail = (error: unknown) => {
    failure ??= error;
    waiting?.();
  };
  const shape = JSON.stringify([job.engine, job.lanes, job.tasks, job.files.length, job.itemElements]);
  const running = Array.from({ length: count }, () => {
    const thread = threads.take(shape);
    const results = resultBuffers(thread, job);
    const lanes = results.map((buffer) => resultViews(buffer, job));
    const give = () => threads.give(thread);
    return startJob(thread.worker, { job, results }, { give, fail }, (message, port) => {
      arrived.set(message.item, { message, port, lanes });
      waiting?.();
    });
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
      const { message, port, lanes } = result;
      if ('failed' in message) {
        throw new EmrError(message.failed.code, message.failed.detail, message.failed.facts);
      }
      release = () => port.postMessage({ release: message.lane } satisfies TileReply);
      const { output, masks, sums } = lanes[message.lane]!;
      const rows = Math.ceil(n / TILE_ELEMENTS);
      return {
        output: output.subarray(0, n * elementBytes),
        masks: masks.map((mask) => mask.subarray(0, Math.ceil(n / 8))),
        sums: sums.subarray(0, rows * sumsLength(job.tasks)),
      };
    },
    async finish() {
      release?.();
      await Promise.all(running.map((one) => one.done));
    },
    async close() {
      fail(new EmrError('cancelled', 'The threads were stopped.'));
      await Promise.all(running.map((one) => one.end()));
    },
  };
}

type ItemMessage = Exclude<TileMessage, { done: true }>;

/** A buffer for each lane: those that the thread has, where they are large enough. */
function resultBuffers({ buffers }: TileThread, job: TileJob): SharedArrayBuffer[] {
  const bytes = resultBufferBytes(job);
  for (let lane = 0; lane < job.lanes; lane++) {
    if ((buffers[lane]?.byteLength ?? 0) < bytes) buffers[lane] = new SharedArrayBuffer(bytes);
  }
  return buffers.slice(0, job.lanes);
}

interface JobEnds {
  /** The thread has done all its work and may have another. */
  give(): void;
  fail(error: unknown): void;
}

/** Gives a thread a job, over a port of its own. */
function startJob(
  worker: Worker,
  data: TileThreadData,
  { give, fail }: JobEnds,
  onItem: (message: ItemMessage, port: MessagePort) => void,
) {
  const { port1: port, port2 } = new MessageChannel();
  let given = false;
  let ending: Promise<void> | undefined;
  const done = new Promise<void>((resolve) => {
    const exit = () => {
      fail(new Error('A thread ended before its work was done.'));
      resolve();
    };
    worker.on('error', fail).once('exit', exit);
    port.on('message', (message: TileMessage) => {
      if (ending) return; // a thread that is being stopped may still say that it is done
      if (!('done' in message)) return onItem(message, port);
      port.close();
      worker.off('error', fail).off('exit', exit);
      give();
      given = true;
      resolve();
    });
  });
  const stop = async () => {
    port.close();
    await worker.terminate();
  };
  worker.postMessage({ data, port: port2 }, [port2]);
  return {
    done,
    async end(): Promise<void> {
      if (given) return;
      ending ??= stop();
      await ending;
    },
  };
}
