import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { deleteObject } from './s3-delete.js';
import { coded } from './s3-errors.js';
import { copyObject, createJoin } from './s3-join.js';
import type { ObjectInfo } from './types.js';

/** Each is a part of the joined object, or several if it is large, of which there may be MAX_PARTS. */
const MAX_SEGMENTS = 4_500;

/**
 * An object at `key` that is written as several, its segments, each ended for others to read before the whole is: parts of
 * an unfinished upload cannot be read. The server joins them.
 */
export function createSegments(bucket: Bucket, key: string) {
  const join = createJoin(bucket, key);
  const stop = new AbortController();
  const ended: ObjectInfo[] = [];
  let joined = 0;

  const joinEnded = async (signal: AbortSignal) => {
    for (; joined < ended.length; joined++) await join.add(ended[joined]!, signal);
  };

  return {
    /** They are the front of the object, in order. */
    ended: ended as readonly ObjectInfo[],
    requireRoom(): void {
      if (ended.length < MAX_SEGMENTS) return;
      throw new EmrError('too_large', 'The object is in too many segments already.', { key, limit: MAX_SEGMENTS });
    },
    push(segment: ObjectInfo): void {
      ended.push(segment);
    },
    /**
     * Makes all that has ended safe from what comes later. The first lies at `key` itself, since nobody knew that there
     * would be others: it moves to `place`. Then the joining goes on, so that little of it is left for the end.
     */
    async settle(place: string, given: AbortSignal): Promise<void> {
      const signal = AbortSignal.any([given, stop.signal]);
      const [first] = ended;
      if (first?.key === key) {
        ended[0] = await coded(key, () => copyObject(bucket, first, place, signal));
        await deleteObject(bucket, bucket.key(key)).catch(() => {}); // the joined object replaces it
      }
      await joinEnded(signal).catch(() => {}); // `finish` tries again
    },
    async finish(): Promise<ObjectInfo> {
      return coded(key, async () => {
        await joinEnded(stop.signal);
        return join.finish(stop.signal);
      });
    },
    async abort(): Promise<void> {
      stop.abort();
      await join.abort();
      if (ended[0]?.key === key) await deleteObject(bucket, bucket.key(key));
    },
  };
}
