import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import type { Store } from '../store/types.js';
import type { ReconstructAnswer, ReconstructOrder } from './reconstruct-loop.js';
import type { VirtualFile } from './virtual-file.js';

const THREAD_ENTRY = new URL('../../workers/reconstruct-thread.js', import.meta.url);

/** One write to a socket: large enough that messages and system calls do not count. */
const SLOT_BYTES = 512 * 1024;
/** Of a remote store: one request fills a slot. */
const MAX_SLOT_BYTES = 4 * 2 ** 20;

/**
 * Chunks that a consumer may hold at once: one with the socket, one in the stream between, one just handed over. A chunk
 * is overwritten only when this many further ones have been asked for.
 */
export const CHUNKS_HELD = 3;
/** As many again are filled ahead, while the consumer waits for its socket. */
const SLOTS = 2 * CHUNKS_HELD;

export interface ReconstructPool {
  /** Bytes start … end − 1 of a virtual file; see CHUNKS_HELD for how long a chunk stays as it is. */
  read(prefix: string, file: VirtualFile, start: number, end: number): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

interface Stream {
  readonly answers: ReconstructAnswer[];
  wake: () => void;
}

/**
 * Threads that rebuild models, so that the process that answers requests neither waits for a disk nor computes. They are
 * started with the first download and kept; a stream belongs to one of them.
 */
export function createReconstructPool(store: Store, threads: number): ReconstructPool {
  const workers: Worker[] = [];
  const streams = new Map<number, Stream>();
  const slotBytes = Math.max(SLOT_BYTES, store.config.kind === 'file' ? 0 : Math.min(store.readBytes, MAX_SLOT_BYTES));
  let last = 0;
  let closed = false;

  const deliver = (answer: ReconstructAnswer) => {
    const stream = streams.get(answer.stream);
    stream?.answers.push(answer);
    stream?.wake();
  };
  const startWorker = (): Worker => {
    const worker = new Worker(THREAD_ENTRY, { workerData: store.config });
    worker.unref(); // idle threads do not keep the process alive
    worker.on('message', deliver);
    worker.on('error', () => {
      // Its streams cannot be told apart any more: all are ended, and the next one starts new threads.
      workers.splice(0);
      const failed = { code: 'internal', detail: 'A thread that rebuilds models failed.', facts: {} } as const;
      for (const stream of streams.keys()) deliver({ stream, failed });
    });
    return worker;
  };
  const pick = (stream: number): Worker => {
    if (workers.length < threads) workers.push(startWorker());
    return workers[stream % workers.length]!;
  };

  return {
    async *read(prefix, file, start, end) {
      if (closed) throw new EmrError('not_ready', 'The server is shutting down.');
      const id = ++last;
      const worker = pick(id);
      const send = (order: ReconstructOrder) => worker.postMessage(order);
      const slots = Array.from({ length: SLOTS }, () => new SharedArrayBuffer(Math.min(slotBytes, end - start)));
      const stream: Stream = { answers: [], wake: () => {} };
      streams.set(id, stream);
      const cut = cutSegments(file, start, end);
      send({ begin: id, prefix, ...cut, slots });
      try {
        for (let turn = 0; ; turn++) {
          while (stream.answers.length === 0) {
            await new Promise<void>((resolve) => {
              stream.wake = resolve;
            });
          }
          const answer = stream.answers.shift()!;
          if ('failed' in answer) throw new EmrError(answer.failed.code, answer.failed.detail, answer.failed.facts);
          if (answer.bytes === 0) return;
          yield new Uint8Array(slots[turn % SLOTS]!, 0, answer.bytes);
          if (turn + 1 >= CHUNKS_HELD) send({ free: id });
        }
      } finally {
        streams.delete(id);
        send({ stop: id });
      }
    },
    async close() {
      closed = true;
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/** Only the segments that a range touches: a large model has thousands, and they are sent to the thread. */
function cutSegments({ segments }: VirtualFile, start: number, end: number) {
  let at = 0;
  let dropped = 0;
  const kept = segments.filter(({ bytes }) => {
    const begin = at;
    at += bytes;
    if (begin + bytes <= start) dropped += bytes;
    return begin + bytes > start && begin < end;
  });
  return { segments: kept, start: start - dropped, end: end - dropped };
}
