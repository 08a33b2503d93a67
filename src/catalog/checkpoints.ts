import { LRUCache } from 'lru-cache';
import { EmrError } from '../errors.js';
import type { Store } from '../store/types.js';
import { readFact } from './facts.js';
import { keys } from './keys.js';
import { type CheckpointFile, type CheckpointRecord, checkpointRecord } from './records.js';

/**
 * The record of a large model is megabytes of JSON, and every download looks at its base's. Held are so many tensors and
 * files, of some 200 bytes each, of the records that were used last: five of the largest by default, all of a merge of 30
 * tasks with 30,000 tensors, or hundreds of usual ones.
 */
const CACHED_ENTRIES = 1_000_000;
const entriesOf = (record: CheckpointRecord) => 1 + record.tensors.length + record.files.length;

export interface CheckpointCatalog {
  /** `unknown_checkpoint` if there is none. */
  get(namespace: string, name: string): Promise<CheckpointRecord>;
  find(namespace: string, name: string): Promise<CheckpointRecord | undefined>;
  /** What `view` says of each, in order of name, those after `after`; at most `limit`, and whether there are more. */
  list<V>(
    namespace: string,
    page: { after?: string; limit: number },
    view: (record: CheckpointRecord) => V,
  ): Promise<{ items: V[]; more: boolean }>;
  /**
   * Removes record and uploaded files, also those of an upload that was never completed; files that were registered in
   * place are left alone. `unknown_checkpoint` if there is nothing.
   */
  delete(namespace: string, name: string): Promise<void>;
}

export function createCheckpointCatalog(store: Store, cachedEntries = CACHED_ENTRIES): CheckpointCatalog {
  const cache = new LRUCache<string, { version: string; record: CheckpointRecord }>({
    maxSize: cachedEntries,
    sizeCalculation: ({ record }) => entriesOf(record),
  });

  /** `passing`: one of many that are looked at once, which must not take the room of those in use. */
  const look = async (namespace: string, name: string, passing: boolean): Promise<CheckpointRecord | undefined> => {
    const key = keys.checkpointRecord(namespace, name);
    const info = await store.stat(key);
    if (info === undefined) return undefined;
    const cached = cache.get(key);
    if (cached?.version === info.version) return cached.record;
    const record = await readFact(store, key, checkpointRecord);
    const hasRoom = record && (!passing || cache.calculatedSize + entriesOf(record) <= cachedEntries);
    if (hasRoom) cache.set(key, { version: info.version, record });
    return record;
  };

  const find = (namespace: string, name: string) => look(namespace, name, false);

  const anything = async (namespace: string, name: string): Promise<boolean> => {
    for await (const { objects } of store.list(keys.checkpoint(namespace, name))) if (objects.length > 0) return true;
    return false;
  };

  return {
    find,
    async get(namespace, name) {
      const record = await find(namespace, name);
      if (record) return record;
      throw unknown(name);
    },
    async list<V>(
      namespace: string,
      { after = '', limit }: { after?: string; limit: number },
      view: (record: CheckpointRecord) => V,
    ) {
      const items: V[] = [];
      for await (const { prefixes } of store.list(keys.checkpoints(namespace), { delimiter: true })) {
        for (const prefix of prefixes) {
          const name = prefix.slice(keys.checkpoints(namespace).length, -1);
          if (name <= after) continue;
          // A folder without a record is an upload that is not complete.
          if (items.length === limit) {
            if (await store.stat(keys.checkpointRecord(namespace, name))) return { items, more: true };
            continue;
          }
          // One at a time, and none is kept: a page of large ones would not fit, and those in use would have to go.
          const record = await look(namespace, name, true);
          if (record) items.push(view(record));
        }
      }
      return { items, more: false };
    },
    async delete(namespace, name) {
      if (!(await anything(namespace, name))) throw unknown(name);
      const uploads: string[] = [];
      for await (const page of store.list(keys.uploads(namespace, name), { delimiter: true }))
        uploads.push(...page.prefixes);
      // The record first: from then on the checkpoint does not exist, whatever becomes of the rest. Then only what was
      // there before: the next checkpoint of this name may be on its way already.
      await store.delete(keys.checkpointRecord(namespace, name));
      for (const prefix of uploads) await store.deletePrefix(prefix);
      // These files may have been made a checkpoint of meanwhile.
      const late = await find(namespace, name);
      const isGone = ({ location }: CheckpointFile) =>
        location.in === 'store' && uploads.some((prefix) => location.key.startsWith(prefix));
      if (late?.files.some(isGone)) await store.delete(keys.checkpointRecord(namespace, name));
    },
  };
}

function unknown(name: string): EmrError {
  return new EmrError('unknown_checkpoint', `There is no checkpoint named ${name}.`, { checkpoint: name });
}
