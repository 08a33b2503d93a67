import { EmrError } from '../errors.js';
import type { RunKind } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { removingFact } from './run-facts.js';

/** Far longer than a removal takes; after it another may end what somebody who died has begun. */
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
  /** Ends the removal of a run without a request, if there was one and it broke off. */
  resume(namespace: string, id: string): Promise<void>;
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

interface Mark {
  readonly number: number;
  readonly isOld: boolean;
}

/**
 * Removes runs under a mark, which is there from before the first file goes until after the last. Who takes a removal over
 * makes the next mark: of several only one does.
 */
export function createRemovals({ kind, store, now, isOpen, folder }: RemovalsOptions): Removals {
  const below = (ns: string, id: string) => `${folder(ns)}${id}/`;
  const marks = (ns: string, id: string) => `${below(ns, id)}removing/`;
  const markKey = (ns: string, id: string, number: number) => `${marks(ns, id)}${number}.json`;
  const requestKey = (ns: string, id: string) => `${below(ns, id)}request.json`;

  const latest = async (ns: string, id: string): Promise<Mark | undefined> => {
    const numbers: number[] = [];
    for await (const { objects } of store.list(marks(ns, id))) {
      for (const { key } of objects) numbers.push(Number.parseInt(key.slice(marks(ns, id).length), 10));
    }
    if (numbers.length === 0) return undefined;
    const number = Math.max(...numbers);
    const mark = await readFact(store, markKey(ns, id, number), removingFact);
    return mark && { number, isOld: now() - Date.parse(mark.removing_at) >= REMOVAL_MS };
  };

  /** The number of the mark, if it is for the caller to remove the run: nobody does, or whoever did has died. */
  const claim = async (ns: string, id: string): Promise<number | undefined> => {
    const last = await latest(ns, id);
    if (last && !last.isOld) return undefined;
    const number = (last?.number ?? 0) + 1;
    const isOurs = await writeFact(store, markKey(ns, id, number), { removing_at: new Date(now()).toISOString() });
    return isOurs ? number : undefined;
  };

  const removeMarked = async (ns: string, id: string): Promise<void> => {
    // The request first: without it there is no run, and nobody takes it up again while the rest goes.
    await store.delete(requestKey(ns, id));
    await store.deletePrefix(below(ns, id), { keep: marks(ns, id) });
    await store.deletePrefix(marks(ns, id));
  };

  /** As long as the request is there nothing else is gone: the run is as it was before somebody began to remove it. */
  const giveBack = async (ns: string, id: string, number: number): Promise<boolean> => {
    if ((await store.stat(requestKey(ns, id))) === undefined) return false;
    await store.delete(markKey(ns, id, number));
    return true;
  };

  const requireEnded = async (ns: string, id: string): Promise<void> => {
    if (await isOpen(ns, id)) throw new EmrError(`${kind}_running`, `Cancel the ${kind} first.`, { [kind]: id });
  };

  const resume = async (ns: string, id: string): Promise<void> => {
    if (!(await latest(ns, id))?.isOld) return;
    const mark = await claim(ns, id);
    // With a request it is a new run: another was faster, and it was asked for since.
    if (mark !== undefined && !(await giveBack(ns, id, mark))) await removeMarked(ns, id);
  };

  return {
    resume,

    async requireStays(ns, id) {
      const mark = await latest(ns, id);
      if (mark === undefined || (mark.isOld && (await giveBack(ns, id, mark.number)))) return;
      await resume(ns, id);
      if (await latest(ns, id)) throw beingDeleted(id);
    },

    async remove(ns, id, also = async () => {}) {
      await requireEnded(ns, id);
      const mark = await claim(ns, id);
      if (mark === undefined) throw beingDeleted(id);
      try {
        // Who opens a run again looks for the mark after that: one of the two gives way.
        await requireEnded(ns, id);
        await also();
        await removeMarked(ns, id);
      } catch (error) {
        await giveBack(ns, id, mark).catch(() => {});
        throw error;
      }
    },
  };
}
