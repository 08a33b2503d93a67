import { EmrError } from '../errors.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { removingFact } from './run-facts.js';

/** Far longer than a removal takes; after it whoever comes next ends what somebody who died has begun. */
const REMOVAL_MS = 10 * 60_000;

export const beingDeleted = (id: string) =>
  new EmrError('being_deleted', `${id} is being deleted at this moment; ask for it again soon.`, { id });

export interface Removals {
  /** `being_deleted` while somebody removes the run: one that is asked for now would go with what is left of it. */
  requireStays(namespace: string, id: string): Promise<void>;
  /** Facts, and whatever else lies below them. */
  remove(namespace: string, id: string): Promise<void>;
}

export interface RemovalsOptions {
  readonly store: Store;
  readonly now: () => number;
  /** The prefix below which every run has a folder of its id. */
  readonly folder: (namespace: string) => string;
}

/** Removes runs under a mark, which is there from before the first file goes until after the last. */
export function createRemovals({ store, now, folder }: RemovalsOptions): Removals {
  const below = (ns: string, id: string) => `${folder(ns)}${id}/`;
  const marks = (ns: string, id: string) => `${below(ns, id)}removing/`;
  const markKey = (ns: string, id: string) => `${marks(ns, id)}mark.json`;

  const stateOf = async (ns: string, id: string): Promise<'none' | 'running' | 'broken off'> => {
    const mark = await readFact(store, markKey(ns, id), removingFact);
    if (mark === undefined) return 'none';
    return now() - Date.parse(mark.removing_at) < REMOVAL_MS ? 'running' : 'broken off';
  };

  const removeMarked = async (ns: string, id: string): Promise<void> => {
    // The request first: without it there is no run, and nobody takes it up again while the rest goes.
    await store.delete(`${below(ns, id)}request.json`);
    await store.deletePrefix(below(ns, id), { keep: marks(ns, id) });
    await store.deletePrefix(marks(ns, id));
  };

  return {
    async requireStays(ns, id) {
      const state = await stateOf(ns, id);
      if (state === 'running') throw beingDeleted(id);
      if (state === 'broken off') await removeMarked(ns, id);
    },

    async remove(ns, id) {
      const isOurs = await writeFact(store, markKey(ns, id), { removing_at: new Date(now()).toISOString() });
      if (isOurs || (await stateOf(ns, id)) === 'broken off') await removeMarked(ns, id);
    },
  };
}
