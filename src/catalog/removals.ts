import { EmrError } from '../errors.js';
import type { RunKind } from '../queue/types.js';
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
  /**
   * Facts, and whatever else lies below them. `merge_running` or `job_running` if the run has not ended, `being_deleted`
   * while somebody else removes it.
   * @param also removes what lies elsewhere, under the same mark
   */
  remove(namespace: string, id: string, also?: () => Promise<void>): Promise<void>;
  /** Removes what lies below a run that has no request any more: of a removal that broke off, of a worker that came late. */
  removeRemains(namespace: string, id: string): Promise<void>;
}

export interface RemovalsOptions {
  readonly kind: RunKind;
  readonly store: Store;
  readonly now: () => number;
  /** False, too, of a run that is not there. */
  readonly isOpen: (namespace: string, id: string) => Promise<boolean>;
  /** The prefix below which every run has a folder of its id. */
  readonly folder: (namespace: string) => string;
}

/** Removes runs under a mark, which is there from before the first file goes until after the last. */
export function createRemovals({ kind, store, now, isOpen, folder }: RemovalsOptions): Removals {
  const below = (ns: string, id: string) => `${folder(ns)}${id}/`;
  const marks = (ns: string, id: string) => `${below(ns, id)}removing/`;
  const markKey = (ns: string, id: string) => `${marks(ns, id)}mark.json`;
  const requestKey = (ns: string, id: string) => `${below(ns, id)}request.json`;

  const stateOf = async (ns: string, id: string): Promise<'none' | 'running' | 'broken off'> => {
    const mark = await readFact(store, markKey(ns, id), removingFact);
    if (mark === undefined) return 'none';
    return now() - Date.parse(mark.removing_at) < REMOVAL_MS ? 'running' : 'broken off';
  };

  /** False if the mark is there already. */
  const mark = (ns: string, id: string) =>
    writeFact(store, markKey(ns, id), { removing_at: new Date(now()).toISOString() });

  const removeMarked = async (ns: string, id: string): Promise<void> => {
    // The request first: without it there is no run, and nobody takes it up again while the rest goes.
    await store.delete(requestKey(ns, id));
    await store.deletePrefix(below(ns, id), { keep: marks(ns, id) });
    await store.deletePrefix(marks(ns, id));
  };

  /** Of a removal that failed. As long as the request is there nothing else is gone: it can be tried again at once. */
  const giveBack = async (ns: string, id: string): Promise<void> => {
    if (await store.stat(requestKey(ns, id))) await store.deletePrefix(marks(ns, id));
  };

  const requireEnded = async (ns: string, id: string): Promise<void> => {
    if (await isOpen(ns, id)) throw new EmrError(`${kind}_running`, `Cancel the ${kind} first.`, { [kind]: id });
  };

  return {
    async requireStays(ns, id) {
      const state = await stateOf(ns, id);
      if (state === 'running') throw beingDeleted(id);
      if (state === 'broken off') await removeMarked(ns, id);
    },

    async remove(ns, id, also = async () => {}) {
      await requireEnded(ns, id);
      const isOurs = await mark(ns, id);
      if (!isOurs && (await stateOf(ns, id)) !== 'broken off') throw beingDeleted(id);
      try {
        // Who opens a run again looks for the mark after that: one of the two gives way.
        await requireEnded(ns, id);
        await also();
        await removeMarked(ns, id);
      } catch (error) {
        await giveBack(ns, id).catch(() => {});
        throw error;
      }
    },

    async removeRemains(ns, id) {
      if (await mark(ns, id)) {
        // Asked for again since somebody found no request.
        if (await store.stat(requestKey(ns, id))) return store.deletePrefix(marks(ns, id));
      } else if ((await stateOf(ns, id)) !== 'broken off') {
        return;
      }
      await removeMarked(ns, id);
    },
  };
}
