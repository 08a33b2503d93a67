import type { z } from 'zod';
import { toEmrError } from '../errors.js';
import { MERGE_ID_PATTERN } from '../names.js';
import type { Job, JobContext, RunKind } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { createOpenings } from './openings.js';
import { beingDeleted, createRemovals } from './removals.js';
import { cancelledFact, type ErrorFact, errorFact } from './run-facts.js';

/** What the store says of a run: how it ended, or that it has not. Whether it waits or runs, the queue knows. */
export type Outcome<Result> = {
  /**
   * How often the run has been asked for again after it had failed or was cancelled: 0 for a new one. Each opening ends by
   * facts of its own, so that a worker or a cancel of an earlier one, however late, does not end this.
   */
  readonly opening: number;
} & (
  | { readonly state: 'succeeded'; readonly result: Result }
  | { readonly state: 'failed'; readonly error: ErrorFact }
  | { readonly state: 'cancelled'; readonly cancelled_at: string }
  | { readonly state: 'open' }
);

/** The part of a request's fact that is the same whatever is run. */
export interface RunFact {
  readonly id: string;
  readonly created_at: string;
}

export interface Acceptance<Fact, Result> {
  readonly fact: Fact;
  /** A new run, or one that had failed or was cancelled and is open again. */
  readonly created: boolean;
  readonly outcome: Outcome<Result>;
}

/** Something that is asked for once, waits, runs in a worker, and ends: merges and jobs. All of it is facts. */
export interface Runs<Fact extends RunFact, Result> {
  /** Writes the request down, or finds that it was. A run that failed or was cancelled is opened again. */
  open(namespace: string, fact: Fact): Promise<Acceptance<Fact, Result>>;
  find(namespace: string, id: string): Promise<Fact | undefined>;
  outcome(namespace: string, id: string): Promise<Outcome<Result>>;
  /** Every one, in no order. */
  all(namespace: string): AsyncIterable<Fact>;
  /**
   * Looks at every id of a run below which anything is stored, several at a time. What a look throws is thrown after the last:
   * one record that cannot be read must not stop what is done for the others. After an abort it ends early, without error.
   */
  eachId(namespace: string, look: (id: string) => Promise<void>, signal?: AbortSignal): Promise<void>;
  /** Each ends the run unless it has ended: of racing calls for one fact, one writes it. A success ends every opening. */
  succeed(namespace: string, id: string, result: Result): Promise<boolean>;
  fail(namespace: string, id: string, error: unknown, opening?: number): Promise<boolean>;
  cancel(namespace: string, id: string, opening?: number): Promise<boolean>;
  /** See `Removals`. */
  remove(namespace: string, id: string, also?: () => Promise<void>): Promise<void>;
  resumeRemoval(namespace: string, id: string): Promise<void>;
}

export interface RunsOptions<F extends z.ZodType<RunFact>, R extends z.ZodType> {
  readonly kind: RunKind;
  readonly store: Store;
  readonly now: () => number;
  /** The prefix below which every run has a folder of its id. */
  readonly folder: (namespace: string) => string;
  readonly request: F;
  readonly result: R;
}

/** Over S3 each is a request of milliseconds: thousands one after another would take minutes. */
const READS_AT_ONCE = 16;

export function createRuns<F extends z.ZodType<RunFact>, R extends z.ZodType>({
  kind,
  store,
  now,
  folder,
  ...schemas
}: RunsOptions<F, R>): Runs<z.output<F>, z.output<R>> {
  const openings = createOpenings({ store, now, folder });
  const timestamp = () => new Date(now()).toISOString();
  const keyOf = (ns: string, id: string, fact: 'request' | 'result') => `${folder(ns)}${id}/${fact}.json`;
  const endOf = (ns: string, id: string, fact: 'error' | 'cancelled', opening: number) =>
    `${folder(ns)}${id}/${fact}${opening === 0 ? '' : `-${opening}`}.json`;
  const find = (ns: string, id: string) => readFact(store, keyOf(ns, id, 'request'), schemas.request);

  const endsOf = (ns: string, id: string, opening: number) =>
    Promise.all([
      readFact(store, endOf(ns, id, 'error', opening), errorFact),
      readFact(store, endOf(ns, id, 'cancelled', opening), cancelledFact),
    ]);

  const outcome = async (ns: string, id: string): Promise<Outcome<z.output<R>>> => {
    const [opening, result, first] = await Promise.all([
      openings.current(ns, id),
      readFact(store, keyOf(ns, id, 'result'), schemas.result),
      endsOf(ns, id, 0), // of nearly every run the only opening
    ]);
    // In this order: a result is whole and useful whatever else was written in the same moment.
    if (result !== undefined) return { opening, state: 'succeeded', result };
    const [error, cancelled] = opening === 0 ? first : await endsOf(ns, id, opening);
    if (error) return { opening, state: 'failed', error };
    return cancelled ? { opening, state: 'cancelled', ...cancelled } : { opening, state: 'open' };
  };

  const isOpen = async (ns: string, id: string) =>
    (await find(ns, id)) !== undefined && (await outcome(ns, id)).state === 'open';
  const { requireStays, remove, resume } = createRemovals({ kind, store, now, isOpen, folder });

  /** The run, if nobody has removed it or is about to, after something was written that a removal might take along. */
  const requireThere = async (ns: string, id: string) => {
    await requireStays(ns, id);
    const known = await find(ns, id);
    if (known === undefined) throw beingDeleted(id);
    return known;
  };

  async function* idsAtOnce(ns: string): AsyncGenerator<readonly string[]> {
    for await (const { prefixes } of store.list(folder(ns), { delimiter: true })) {
      for (let at = 0; at < prefixes.length; at += READS_AT_ONCE) {
        const ids = prefixes.slice(at, at + READS_AT_ONCE).map((prefix) => prefix.slice(folder(ns).length, -1));
        // Whatever else lies there is somebody else's. Ids of jobs have the form of those of merges.
        yield ids.filter((id) => MERGE_ID_PATTERN.test(id));
      }
    }
  }

  return {
    find,
    outcome,

    async open(ns, fact) {
      const { id } = fact;
      await requireStays(ns, id);
      const isNew = await writeFact(store, keyOf(ns, id, 'request'), fact);
      const known = await requireThere(ns, id);
      const found = await outcome(ns, id);
      // Of a new run: by the worker of one that was deleted, which was late to notice.
      if (hasEndedBadly(found)) {
        const opening = await openings.next(ns, id, found.opening);
        return { fact: await requireThere(ns, id), created: true, outcome: { opening, state: 'open' } };
      }
      return { fact: known, created: isNew, outcome: found };
    },

    async *all(ns) {
      for await (const ids of idsAtOnce(ns)) {
        for (const fact of await Promise.all(ids.map((id) => find(ns, id)))) if (fact) yield fact;
      }
    },

    async eachId(ns, look, signal) {
      const failures: unknown[] = [];
      for await (const ids of idsAtOnce(ns)) {
        if (signal?.aborted) break;
        await Promise.all(ids.map((id) => look(id).catch((error: unknown) => failures.push(error))));
      }
      if (failures.length > 0) throw failures[0];
    },

    succeed: (ns, id, result) => writeFact(store, keyOf(ns, id, 'result'), result),

    fail(ns, id, cause, opening = 0) {
      const { code, detail, facts } = toEmrError(cause);
      const fact: ErrorFact = { code, detail, facts, failed_at: timestamp() };
      return writeFact(store, endOf(ns, id, 'error', opening), fact);
    },

    cancel: (ns, id, opening = 0) =>
      writeFact(store, endOf(ns, id, 'cancelled', opening), { cancelled_at: timestamp() }),

    remove,
    resumeRemoval: resume,
  };
}

export const hasEndedBadly = ({ state }: { readonly state: string }) => state === 'failed' || state === 'cancelled';

/** Whether to ask for the run again would only find it: it waits, runs, or has succeeded. */
export async function isKnown(
  runs: Pick<Runs<RunFact, unknown>, 'find' | 'outcome'>,
  namespace: string,
  id: string,
): Promise<boolean> {
  return (await runs.find(namespace, id)) !== undefined && !hasEndedBadly(await runs.outcome(namespace, id));
}

/**
 * Ends a run whose attempt failed: by a fact, or by rejecting where the queue is to hand it out again, to another worker
 * or for another try.
 */
export async function endFailed(
  runs: Pick<Runs<RunFact, unknown>, 'cancel' | 'fail' | 'find'>,
  { namespace, opening }: Pick<Job, 'namespace' | 'opening'>,
  { id, created_at }: RunFact,
  { signal }: JobContext,
  failure: unknown,
): Promise<void> {
  // It may have been deleted and asked for again: that one is not this attempt's to end.
  if ((await runs.find(namespace, id))?.created_at !== created_at) return;
  if (signal.reason === 'cancelled') await runs.cancel(namespace, id, opening);
  else if (signal.aborted || toEmrError(failure).retry) throw failure;
  else await runs.fail(namespace, id, failure, opening);
}
