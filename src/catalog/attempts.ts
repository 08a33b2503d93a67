import type { Store } from '../store/types.js';
import { keys } from './keys.js';
import type { ResultFact } from './merge-facts.js';
import type { Outcome } from './runs.js';

/** What the attempts at a merge have written, theirs too whose workers died. */
export interface Attempts {
  /** Removes all that a merge that has ended does not need; nothing of one that is open. */
  sweep(namespace: string, id: string): Promise<void>;
  /**
   * For the attempt that has just written the result: false, and the result is taken back, if a sweep took the artifacts
   * first. That one had found the merge cancelled or failed, and this attempt had looked at it shortly before.
   */
  confirm(namespace: string, id: string, result: ResultFact): Promise<boolean>;
}

type Look = (namespace: string, id: string) => Promise<Outcome<ResultFact>>;

/**
 * A sweep looks for a result again after it has removed files, and whoever writes a result looks for the files after that:
 * so in whatever order the four happen, one of the two sees that the result has no artifacts.
 */
export function createAttempts(store: Store, outcome: Look): Attempts {
  const confirm = async (ns: string, id: string, { attempt, artifacts }: ResultFact): Promise<boolean> => {
    const missing = new Set(artifacts.map(({ path }) => keys.attempt(ns, id, attempt) + path));
    for await (const { objects } of store.list(keys.attempt(ns, id, attempt))) {
      for (const { key } of objects) missing.delete(key);
    }
    if (missing.size === 0) return true;
    const now = await outcome(ns, id);
    // Not that of another attempt, which was written meanwhile.
    if (now.state === 'succeeded' && now.result.attempt === attempt) await store.delete(keys.mergeResult(ns, id));
    return false;
  };

  return {
    confirm,
    async sweep(ns, id) {
      const ended = await outcome(ns, id);
      if (ended.state === 'open') return;
      const keep = ended.state === 'succeeded' && keys.attempt(ns, id, ended.result.attempt);
      await store.deletePrefix(keys.attempts(ns, id), keep ? { keep } : {});
      if (keep) return;
      const late = await outcome(ns, id);
      if (late.state === 'succeeded') await confirm(ns, id, late.result);
    },
  };
}
