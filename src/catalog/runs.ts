import type { z } from 'zod';
import { toEmrError } from '../errors.js';
import type { JobContext } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { cancelledFact, type ErrorFact, errorFact } from './run-facts.js';

/** What the store says of a run: how it ended, or that it has not. Whether it waits or runs, the queue knows. */
export type Outcome<Result> =
  | { readonly state: 'succeeded'; readonly result: Result }
  | { readonly state: 'failed'; readonly error: ErrorFact }
  | { readonly state: 'cancelled'; readonly cancelled_at: string }
  | { readonly state: 'open' };

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
  /** Each ends the run unless it has ended: of racing calls for one fact, one writes it. */
  succeed(namespace: string, id: string, result: Result): Promise<boolean>;
  fail(namespace: string, id: string, error: unknown): Promise<boolean>;
  cancel(namespace: string, id: string): Promise<boolean>;
  /** Facts, and whatever else lies below them. */
  remove(namespace: string, id: string): Promise<void>;
}

export interface RunsOptions<F extends z.ZodType<RunFact>, R extends z.ZodType> {
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
  store,
  now,
  folder,
  ...schemas
}: RunsOptions<F, R>): Runs<z.output<F>, z.output<R>> {
  const timestamp = () => new Date(now()).toISOString();
  const keyOf = (ns: string, id: string, fact: 'request' | 'result' | 'error' | 'cancelled') =>
    `${folder(ns)}${id}/${fact}.json`;
  const find = (ns: string, id: string) => readFact(store, keyOf(ns, id, 'request'), schemas.request);

  const outcome = async (ns: string, id: string): Promise<Outcome<z.output<R>>> => {
    // In this order: a result is whole and useful whatever else was written in the same moment.
    const [result, error, cancelled] = await Promise.all([
      readFact(store, keyOf(ns, id, 'result'), schemas.result),
      readFact(store, keyOf(ns, id, 'error'), errorFact),
      readFact(store, keyOf(ns, id, 'cancelled'), cancelledFact),
    ]);
    if (result !== undefined) return { state: 'succeeded', result };
    if (error) return { state: 'failed', error };
    return cancelled ? { state: 'cancelled', ...cancelled } : { state: 'open' };
  };

  return {
    find,
    outcome,

    async open(ns, fact) {
      const { id } = fact;
      const isNew = await writeFact(store, keyOf(ns, id, 'request'), fact);
      const known = isNew ? fact : ((await find(ns, id)) ?? fact);
      const ended = await outcome(ns, id);
      if (!isNew && !hasEndedBadly(ended)) return { fact: known, created: false, outcome: ended };
      // Of the same run before; also of one that was deleted, whose worker was late to notice.
      await store.delete(keyOf(ns, id, 'error'));
      await store.delete(keyOf(ns, id, 'cancelled'));
      return { fact: known, created: true, outcome: { state: 'open' } };
    },

    async *all(ns) {
      for await (const { prefixes } of store.list(folder(ns), { delimiter: true })) {
        for (let at = 0; at < prefixes.length; at += READS_AT_ONCE) {
          const ids = prefixes.slice(at, at + READS_AT_ONCE).map((prefix) => prefix.slice(folder(ns).length, -1));
          for (const fact of await Promise.all(ids.map((id) => find(ns, id)))) if (fact) yield fact;
        }
      }
    },

    succeed: (ns, id, result) => writeFact(store, keyOf(ns, id, 'result'), result),

    fail(ns, id, cause) {
      const { code, detail, facts } = toEmrError(cause);
      const fact: ErrorFact = { code, detail, facts, failed_at: timestamp() };
      return writeFact(store, keyOf(ns, id, 'error'), fact);
    },

    cancel: (ns, id) => writeFact(store, keyOf(ns, id, 'cancelled'), { cancelled_at: timestamp() }),

    async remove(ns, id) {
      // The request first: without it there is no run, and nobody takes it up again while the rest goes.
      await store.delete(keyOf(ns, id, 'request'));
      await store.deletePrefix(`${folder(ns)}${id}/`);
    },
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
  runs: Pick<Runs<RunFact, unknown>, 'cancel' | 'fail'>,
  { namespace, id }: { readonly namespace: string; readonly id: string },
  { signal }: JobContext,
  failure: unknown,
): Promise<void> {
  if (signal.reason === 'cancelled') await runs.cancel(namespace, id);
  else if (signal.aborted || toEmrError(failure).retry) throw failure;
  else await runs.fail(namespace, id, failure);
}
