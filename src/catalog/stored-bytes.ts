import { LRUCache } from 'lru-cache';
import type { Store } from '../store/types.js';

/** How old a sum may be that other processes, above all workers, add to. */
const MAX_AGE_MS = 10_000;
const CACHED_NAMESPACES = 1_000;
/** A namespace that changes all the time is summed up at most so often. */
const MAX_TRIES = 3;

export interface StoredBytes {
  /** Bytes of all objects of a namespace. */
  of(namespace: string): Promise<number>;
  /** This process has changed something there. */
  changed(namespace: string): void;
}

/** Sums up what a namespace holds, which costs a listing of it. */
export function createStoredBytes(store: Pick<Store, 'list'>, now: () => number): StoredBytes {
  const sums = new LRUCache<string, number>({ max: CACHED_NAMESPACES, ttl: MAX_AGE_MS, perf: { now } });
  let changes = 0;

  const sum = async (namespace: string): Promise<number> => {
    let bytes = 0;
    for await (const { objects } of store.list(`${namespace}/`)) {
      for (const object of objects) bytes += object.bytes;
    }
    return bytes;
  };

  return {
    async of(namespace) {
      const known = sums.get(namespace);
      if (known !== undefined) return known;
      for (let tried = 1; ; tried++) {
        const before = changes;
        const bytes = await sum(namespace);
        // What came while it was listed may be missing.
        if (changes !== before && tried < MAX_TRIES) continue;
        if (changes === before) sums.set(namespace, bytes);
        return bytes;
      }
    },
    changed(namespace) {
      changes += 1;
      sums.delete(namespace);
    },
  };
}
