import type { Store } from '../store/types.js';
import { writeFact } from './facts.js';

export interface Openings {
  /** 0 until the run was opened again. */
  current(namespace: string, id: string): Promise<number>;
  /** The one after `opening`: of racing calls each finds the same. */
  next(namespace: string, id: string, opening: number): Promise<number>;
}

export interface OpeningsOptions {
  readonly store: Store;
  readonly now: () => number;
  /** The prefix below which every run has a folder of its id. */
  readonly folder: (namespace: string) => string;
}

/** How often runs have been asked for again after they had failed or were cancelled. */
export function createOpenings({ store, now, folder }: OpeningsOptions): Openings {
  const prefix = (ns: string, id: string) => `${folder(ns)}${id}/opened/`;
  const keyOf = (ns: string, id: string, opening: number) => `${prefix(ns, id)}${opening}.json`;
  return {
    async current(ns, id) {
      const numbers = [0];
      for await (const { objects } of store.list(prefix(ns, id))) {
        for (const { key } of objects) numbers.push(Number.parseInt(key.slice(prefix(ns, id).length), 10));
      }
      return Math.max(...numbers);
    },

    async next(ns, id, opening) {
      await writeFact(store, keyOf(ns, id, opening + 1), { opened_at: new Date(now()).toISOString() });
      // The last one says all; who comes late and writes this again changes nothing.
      if (opening > 0) await store.delete(keyOf(ns, id, opening));
      return opening + 1;
    },
  };
}
