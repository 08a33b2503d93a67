import { Worker } from 'node:worker_threads';
import { EmrError } from '../errors.js';
import type { StoreConfig } from '../store/types.js';
import type { ReconstructAnswer, ReconstructOrder } from './reconstruct-loop.js';
import { READER_LIMITS } from './thread-limits.js';
import type { Segment, VirtualFile } from './virtual-file.js';

const THREAD_ENTRY = new URL('../../workers/reconstruct-thread.js', import.meta.url);

/**
 * Chunks that a consumer may hold while it asks for another: one with the socket, one in the stream between. The chunk
 * before these is overwritten.
 */
export const CHUNKS_HELD = 2;
/** Chunks that a thread may have made and not got back: of those held, and ahead of the consumer. */
const CREDIT = 3;
/** Threads that share a download: one alone reads and computes more slowly than a socket on the same machine takes. */
const THREADS_EACH = 2;

export interface Reconstructor {
  /**
   * Bytes start … end − 1 of a virtual file, computed while they are asked for. `prefix` is that of the merge's attempt.
   * See CHUNKS_HELD; the last chunks stay as they are until `consumed` settles.
   */
  read(
    prefix: string,
    file: VirtualFile,
    start: number,
    end: number,
    consumed: Promise<unknown>,
  ): AsyncGenerator<Uint8Array>;
  /** Starts the threads, so that the first download does not wait for them. */
  warm(): void;
  close(): Promise<void>;
}

type StreamAnswer = Exclude<ReconstructAnswer, { dropped: number }>;

interface Stream {
  readonly answers: StreamAnswer[];
  wake: () => void;
}

interface Thread {
  readonly worker: Worker;
  readonly streams: Map<number, Stream>;
  /** The memory of each chunk number that the thread has used. */
  readonly memories: Map<number, SharedArrayBuffer>;
}

/**
 * Models are rebuilt in threads: the server's own thread neither waits for a disk nor computes, it only sends. A chunk is
 * one write to the socket, sent from the memory in which the kernel made it.
 */
export function createReconstructor(config: StoreConfig, threadCount: number): Reconstructor {
  const threads: Thread[] = [];
  let last = 0;
  let closed = false;

  const startThread = (): Thread => {
    const worker = new Worker(THREAD_ENTRY, { workerData: config, resourceLimits: READER_LIMITS });
    const thread: Thread = { worker, streams: new Map(), memories: new Map() };
    const deliver = (answer: ReconstructAnswer) => {
      if ('dropped' in answer) {
        thread.memories.delete(answer.dropped);
        return;
      }
      if ('memory' in answer && answer.memory) thread.memories.set(answer.chunk, answer.memory);
      const stream = thread.streams.get(answer.stream);
      stream?.answers.push(answer);
      stream?.wake();
    };
    worker.unref(); // idle threads do not keep the process alive
    worker.on('message', deliver);
    worker.on('error', () => {
      threads.splice(threads.indexOf(thread), 1);
      const failed = { code: 'internal', detail: 'A thread that rebuilds models failed.', facts: {} } as const;
      for (const stream of thread.streams.keys()) deliver({ stream, failed });
    });
    return thread;
  };
  const warm = () => {
    while (threads.length < threadCount) threads.push(startThread());
  };
  const leastBusy = (count: number): Thread[] => {
    warm();
    return threads.toSorted((a, b) => a.streams.size - b.streams.size).slice(0, count);
  };

  async function* readComputed(
    prefix: string,
    segments: readonly Segment[],
    start: number,
    end: number,
    consumed: Promise<unknown>,
  ): AsyncGenerator<Uint8Array> {
    const parts = leastBusy(THREADS_EACH).map((thread) => openStream(thread));
    for (const [first, part] of parts.entries()) {
      part.send({ begin: part.id, prefix, segments, start, end, first, of: parts.length, credit: CREDIT });
    }
    const held: (() => void)[] = [];
    try {
      for (let turn = 0; ; turn++) {
        const chunk = await parts[turn % parts.length]!.next();
        // Pieces go round the threads, so that the first that has none left was the last's turn.
        if (chunk === undefined) return;
        yield chunk.bytes;
        held.push(chunk.free);
        if (held.length > CHUNKS_HELD) held.shift()!();
      }
    } finally {
      for (const part of parts) part.close(consumed);
    }
  }

  /** A stream of one thread, as its consumer sees it. */
  const openStream = (thread: Thread) => {
    const id = ++last;
    const stream: Stream = { answers: [], wake: () => {} };
    const send = (order: ReconstructOrder) => thread.worker.postMessage(order);
    thread.streams.set(id, stream);
    return {
      id,
      send,
      /** The next chunk, and a way to give it back; undefined at the end. */
      async next() {
        while (stream.answers.length === 0) {
          await new Promise<void>((resolve) => {
            stream.wake = resolve;
          });
        }
        const answer = stream.answers.shift()!;
        if ('failed' in answer) throw new EmrError(answer.failed.code, answer.failed.detail, answer.failed.facts);
        if ('end' in answer) return undefined;
        const bytes = new Uint8Array(thread.memories.get(answer.chunk)!, answer.offset, answer.bytes);
        return { bytes, free: () => send({ free: id, chunk: answer.chunk }) };
      },
      close(consumed: Promise<unknown>) {
        thread.streams.delete(id);
        send({ stop: id });
        void consumed.finally(() => send({ done: id }));
      },
    };
  };

  return {
    warm,
    async *read(prefix, file, start, end, consumed) {
      if (closed) throw new EmrError('not_ready', 'The server is shutting down.');
      const [head, ...rest] = file.segments;
      // The header is known: the first bytes leave while a thread reads.
      const ahead = head?.kind === 'bytes' ? head.bytes : 0;
      if (head?.kind === 'bytes' && start < ahead) yield head.content.subarray(start, Math.min(end, ahead));
      if (end <= ahead) return;
      const from = Math.max(start, ahead) - ahead;
      const cut = cutSegments(ahead > 0 ? rest : file.segments, from, end - ahead);
      yield* readComputed(prefix, cut.segments, cut.start, cut.end, consumed);
    },
    async close() {
      closed = true;
      await Promise.all(threads.map((thread) => thread.worker.terminate()));
    },
  };
}

/** Only the segments that a range touches: a large model has thousands, and they are sent to a thread. */
function cutSegments(segments: readonly Segment[], start: number, end: number) {
  let at = 0;
  let dropped = 0;
  const touched = segments.filter(({ bytes }) => {
    const begin = at;
    at += bytes;
    if (begin + bytes <= start) dropped += bytes;
    return begin + bytes > start && begin < end;
  });
  return { segments: touched, start: start - dropped, end: end - dropped };
}
