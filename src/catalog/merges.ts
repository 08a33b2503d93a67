import { EmrError } from '../errors.js';
import { type MergeRequest, mergeId } from '../merge/request.js';
import { MERGE_ID_PATTERN } from '../names.js';
import type { Store } from '../store/types.js';
import { createAttempts } from './attempts.js';
import { writeFact } from './facts.js';
import { keys } from './keys.js';
import { type RequestFact, type ResultFact, requestFact, resultFact } from './merge-facts.js';
import type { CheckpointRecord } from './records.js';
import { type Acceptance, createRuns, hasEndedBadly, type Outcome as RunOutcome, type Runs } from './runs.js';

/** How a merge ended, or that it has not. */
export type Outcome = RunOutcome<ResultFact>;

export interface MergeInputs {
  readonly base: CheckpointRecord;
  readonly tasks: readonly CheckpointRecord[];
  /** In the order of the tasks, where the method reads any. */
  readonly statistics?: readonly CheckpointRecord[] | undefined;
}

export type MergeAcceptance = Acceptance<RequestFact, ResultFact>;

/** Merges: runs that may have a name. */
export interface MergeCatalog extends Omit<Runs<RequestFact, ResultFact>, 'open' | 'remove'> {
  /**
   * Writes the request down, or finds that it was. A merge that failed or was cancelled is opened again. `name_taken` if
   * its name belongs to another merge, unless that one failed or was cancelled: then the name moves to this one.
   */
  accept(namespace: string, request: MergeRequest, inputs: MergeInputs): Promise<MergeAcceptance>;
  /** The id that the request would be accepted under; `name_taken` as above. Writes nothing. */
  identify(namespace: string, request: MergeRequest, inputs: MergeInputs): Promise<string>;
  /** By id or by name; `unknown_merge`. */
  get(namespace: string, idOrName: string): Promise<RequestFact>;
  /** The name that the merge was asked for with, as long as it has not moved to another. */
  nameOf(namespace: string, fact: RequestFact): Promise<string | undefined>;
  /** Removes what attempts left that the merge, if it has ended, does not need: `fail` and `cancel` have done so. */
  sweep(namespace: string, id: string): Promise<void>;
  /** The same, and a result whose artifacts are gone is taken back: whoever should have done so died before. */
  settle(namespace: string, id: string): Promise<Outcome>;
  /** Facts, name and artifacts; refuses as `Removals.remove`. */
  delete(namespace: string, fact: RequestFact): Promise<void>;
}

export function createMergeCatalog(store: Store, now: () => number): MergeCatalog {
  const runs = createRuns({ kind: 'merge', store, now, folder: keys.merges, request: requestFact, result: resultFact });
  const { find, outcome } = runs;
  const { sweep, confirm } = createAttempts(store, outcome);

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

  const { open, remove, ...shared } = runs;
  return {
    ...shared,

    sweep,

    async settle(ns, id) {
      await sweep(ns, id);
      const found = await outcome(ns, id);
      if (found.state !== 'succeeded' || (await confirm(ns, id, found.result))) return found;
      return outcome(ns, id);
    },

    async succeed(ns, id, result) {
      return (await runs.succeed(ns, id, result)) && confirm(ns, id, result);
    },

    // The fact first: from then on no attempt begins to commit.
    async fail(ns, id, error, opening) {
      const written = await runs.fail(ns, id, error, opening);
      await sweep(ns, id);
      return written;
    },

    async cancel(ns, id, opening) {
      const written = await runs.cancel(ns, id, opening);
      await sweep(ns, id);
      return written;
    },

    async identify(ns, request, inputs) {
      const id = mergeId(request, digestsOf(inputs));
      if (request.name !== undefined) await hasName(ns, request.name, id);
      return id;
    },

    async accept(ns, request, inputs) {
      const digests = digestsOf(inputs);
      const id = mergeId(request, digests);
      if (request.name !== undefined) await claimName(ns, request.name, id);
      return open(ns, { id, created_at: new Date(now()).toISOString(), request, digests });
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

    async delete(ns, { id, request }) {
      await remove(ns, id, async () => {
        // The name first: after it the same merge may be asked for again, and have it.
        if (request.name !== undefined && (await aliasOf(ns, request.name)) === id) {
          await store.delete(keys.alias(ns, request.name));
        }
      });
    },
  };
}

function digestsOf({ base, tasks, statistics }: MergeInputs): RequestFact['digests'] {
  const digests = { base: base.digest, tasks: tasks.map((task) => task.digest) };
  return statistics ? { ...digests, statistics: statistics.map((one) => one.digest) } : digests;
}
