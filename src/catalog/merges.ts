import { EmrError, toEmrError } from '../errors.js';
import { type MergeRequest, mergeId } from '../merge/request.js';
import { MERGE_ID_PATTERN } from '../names.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { keys } from './keys.js';
import {
  cancelledFact,
  type ErrorFact,
  errorFact,
  type RequestFact,
  type ResultFact,
  requestFact,
  resultFact,
} from './merge-facts.js';
import type { CheckpointRecord } from './records.js';

/** What the store says of a merge: how it ended, or that it has not. Whether it waits or runs, the queue knows. */
export type Outcome =
  | { readonly state: 'succeeded'; readonly result: ResultFact }
  | { readonly state: 'failed'; readonly error: ErrorFact }
  | { readonly state: 'cancelled' }
  | { readonly state: 'open' };

export interface MergeInputs {
  readonly base: CheckpointRecord;
  readonly tasks: readonly CheckpointRecord[];
}

export interface Acceptance {
  readonly fact: RequestFact;
  /** A new merge, or one that had failed or was cancelled and is open again. */
  readonly created: boolean;
  readonly outcome: Outcome;
}

export interface MergeCatalog {
  /**
   * Writes the request down, or finds that it was. A merge that failed or was cancelled is opened again. `name_taken` if
   * its name belongs to another merge, unless that one failed or was cancelled: then the name moves to this one.
   */
  accept(namespace: string, request: MergeRequest, inputs: MergeInputs): Promise<Acceptance>;
  /** The id that the request would be accepted under; `name_taken` as above. Writes nothing. */
  identify(namespace: string, request: MergeRequest, inputs: MergeInputs): Promise<string>;
  /** By id or by name; `unknown_merge`. */
  get(namespace: string, idOrName: string): Promise<RequestFact>;
  find(namespace: string, id: string): Promise<RequestFact | undefined>;
  /** The name that the merge was asked for with, as long as it has not moved to another. */
  nameOf(namespace: string, fact: RequestFact): Promise<string | undefined>;
  outcome(namespace: string, id: string): Promise<Outcome>;
  /** Every merge, in no order. */
  all(namespace: string): AsyncIterable<RequestFact>;
  /** Each ends the merge unless it has ended: of racing calls for one fact, one writes it. */
  succeed(namespace: string, id: string, result: ResultFact): Promise<boolean>;
  fail(namespace: string, id: string, error: unknown): Promise<boolean>;
  cancel(namespace: string, id: string): Promise<boolean>;
  /** Facts, name and artifacts. */
  delete(namespace: string, fact: RequestFact): Promise<void>;
}

export function createMergeCatalog(store: Store, now: () => number): MergeCatalog {
  const timestamp = () => new Date(now()).toISOString();
  const find = (ns: string, id: string) => readFact(store, keys.mergeFact(ns, id, 'request'), requestFact);

  const outcome = async (ns: string, id: string): Promise<Outcome> => {
    // In this order: a result is whole and useful whatever else was written in the same moment.
    const [result, error, cancelled] = await Promise.all([
      readFact(store, keys.mergeFact(ns, id, 'result'), resultFact),
      readFact(store, keys.mergeFact(ns, id, 'error'), errorFact),
      readFact(store, keys.mergeFact(ns, id, 'cancelled'), cancelledFact),
    ]);
    if (result) return { state: 'succeeded', result };
    if (error) return { state: 'failed', error };
    return { state: cancelled ? 'cancelled' : 'open' };
  };

  const aliasOf = async (ns: string, name: string): Promise<string | undefined> => {
    const bytes = await store.readSmall(keys.alias(ns, name));
    return bytes && (JSON.parse(bytes.toString('utf8')) as { id: string }).id;
  };

  /**
   * True if the name is the merge's already, `name_taken` if it is another's. A name whose merge is gone is free, and so
   * is that of a merge that failed or was cancelled: whoever mends a checkpoint and asks again has another id.
   */
  const hasName = async (ns: string, name: string, id: string): Promise<boolean> => {
    const owner = await aliasOf(ns, name);
    if (owner === id) return true;
    if (owner === undefined || !(await find(ns, owner))) return false;
    if (hasEndedBadly(await outcome(ns, owner))) return false;
    throw new EmrError('name_taken', `The name ${name} belongs to merge ${owner}.`, { name, merge: owner });
  };

  const claimName = async (ns: string, name: string, id: string): Promise<void> => {
    const key = keys.alias(ns, name);
    while (!(await writeFact(store, key, { id }))) {
      if (await hasName(ns, name, id)) return;
      await store.delete(key);
    }
  };

  return {
    find,
    outcome,

    async identify(ns, request, inputs) {
      const id = mergeId(request, digestsOf(inputs));
      if (request.name !== undefined) await hasName(ns, request.name, id);
      return id;
    },

    async accept(ns, request, inputs) {
      const digests = digestsOf(inputs);
      const id = mergeId(request, digests);
      if (request.name !== undefined) await claimName(ns, request.name, id);
      const fact: RequestFact = { id, created_at: timestamp(), request, digests };
      const isNew = await writeFact(store, keys.mergeFact(ns, id, 'request'), fact);
      const known = isNew ? fact : ((await find(ns, id)) ?? fact);
      const ended = await outcome(ns, id);
      if (!isNew && !hasEndedBadly(ended)) return { fact: known, created: false, outcome: ended };
      // Of the same merge before; also of one that was deleted, whose worker was late to notice.
      await store.delete(keys.mergeFact(ns, id, 'error'));
      await store.delete(keys.mergeFact(ns, id, 'cancelled'));
      return { fact: known, created: true, outcome: { state: 'open' } };
    },

    async nameOf(ns, { id, request: { name } }) {
      return name !== undefined && (await aliasOf(ns, name)) === id ? name : undefined;
    },

    async get(ns, idOrName) {
      const id = MERGE_ID_PATTERN.test(idOrName) ? idOrName : await aliasOf(ns, idOrName);
      const fact = id && (await find(ns, id));
      if (fact) return fact;
      throw new EmrError('unknown_merge', `There is no merge with the id or name ${idOrName}.`, { merge: idOrName });
    },

    async *all(ns) {
      for await (const { prefixes } of store.list(keys.merges(ns), { delimiter: true })) {
        for (const prefix of prefixes) {
          const fact = await find(ns, prefix.slice(keys.merges(ns).length, -1));
          if (fact) yield fact;
        }
      }
    },

    succeed: (ns, id, result) => writeFact(store, keys.mergeFact(ns, id, 'result'), result),

    fail(ns, id, cause) {
      const { code, detail, facts } = toEmrError(cause);
      const fact: ErrorFact = { code, detail, facts, failed_at: timestamp() };
      return writeFact(store, keys.mergeFact(ns, id, 'error'), fact);
    },

    cancel: (ns, id) => writeFact(store, keys.mergeFact(ns, id, 'cancelled'), { cancelled_at: timestamp() }),

    async delete(ns, { id, request }) {
      // The request first: without it there is no merge, and nobody takes it up again while the rest goes.
      await store.delete(keys.mergeFact(ns, id, 'request'));
      await store.deletePrefix(keys.merge(ns, id));
      if (request.name !== undefined && (await aliasOf(ns, request.name)) === id) {
        await store.delete(keys.alias(ns, request.name));
      }
    },
  };
}

const hasEndedBadly = ({ state }: Outcome) => state === 'failed' || state === 'cancelled';

function digestsOf({ base, tasks }: MergeInputs): RequestFact['digests'] {
  return { base: base.digest, tasks: tasks.map((task) => task.digest) };
}
