import type { Sources } from '../catalog/sources.js';
import type { ObjectReader, Store } from '../store/types.js';
import type { SegmentFile } from './virtual-file.js';

export interface SegmentReaders {
  open(file: SegmentFile): Promise<ObjectReader>;
  close(): Promise<void>;
}

/** Opens the files that segments read from, each once. `prefix` is the key prefix of the merge's attempt. */
export function createSegmentReaders(store: Store, sources: Sources, prefix: string): SegmentReaders {
  const opened = new Map<string, Promise<ObjectReader>>();
  return {
    open(file) {
      const name = 'artifact' in file ? `artifact ${file.artifact}` : `base ${file.base.name}`;
      const known = opened.get(name);
      if (known) return known;
      const reader = 'artifact' in file ? store.openReader(prefix + file.artifact) : sources.open(file.base);
      opened.set(name, reader);
      return reader;
    },
    async close() {
      const settled = await Promise.allSettled(opened.values());
      await Promise.allSettled(settled.map((one) => (one.status === 'fulfilled' ? one.value.close() : undefined)));
    },
  };
}
