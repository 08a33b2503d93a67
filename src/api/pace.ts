import { performance } from 'node:perf_hooks';
import { EmrError } from '../errors.js';

export interface PaceLimits {
  /** Milliseconds spent in waiting for the client. */
  readonly windowMs: number;
  /** What has to come in such a window. */
  readonly minBytes: number;
}

/**
 * Some 2 KB/s, which every link reaches that could send a model at all. So long, that a network that is away for half a
 * minute, after which TCP waits as long again, costs no upload; but before the connection is closed for being idle, so
 * that the client is told. Without a bound a few that send a byte now and then would hold all places for uploads for ever.
 */
export const UPLOAD_PACE: PaceLimits = { windowMs: 100_000, minBytes: 200 * 1024 };

export interface Pace {
  /** `source` as it is, until it is waited for too long: then `upload_stalled`. Several may share one pace, in turn. */
  steady<T>(source: AsyncIterable<T>): AsyncGenerator<T>;
}

/**
 * Watches what a client sends. Only the time that is spent in waiting for it counts: a slow store is not its fault.
 * @param received bytes that have come from the client so far
 */
export function createPace(received: () => number, { windowMs, minBytes }: PaceLimits): Pace {
  let waited = 0;
  let before = received();

  const wait = async <T>(step: Promise<T>): Promise<T> => {
    let began = performance.now();
    let timer: NodeJS.Timeout | undefined;
    let turn: NodeJS.Immediate | undefined;
    const stalled = new Promise<never>((_, reject) => {
      // A turn later: what came while this process was held up is read first.
      const lookIn = (ms: number) => {
        timer = setTimeout(() => {
          turn = setImmediate(look);
        }, ms);
      };
      const look = () => {
        const now = received();
        if (now - before < minBytes) return reject(stall({ windowMs, minBytes }));
        before = now;
        began = performance.now();
        waited = 0;
        lookIn(windowMs);
      };
      lookIn(Math.max(0, windowMs - waited));
    });
    try {
      return await Promise.race([step, stalled]);
    } finally {
      clearTimeout(timer);
      clearImmediate(turn);
      waited += performance.now() - began;
    }
  };

  return {
    async *steady(source) {
      const iterator = source[Symbol.asyncIterator]();
      try {
        for (;;) {
          const step = await wait(iterator.next());
          if (step.done) return;
          yield step.value;
        }
      } finally {
        // Not waited for: it comes behind a read that may never end.
        iterator.return?.().catch(() => {});
      }
    },
  };
}

const stall = ({ windowMs, minBytes }: PaceLimits) =>
  new EmrError(
    'upload_stalled',
    `Less than ${minBytes} bytes came in ${windowMs / 1000} s of waiting: send the upload again, and without long pauses.`,
    { limit: minBytes, seconds: windowMs / 1000 },
  );
