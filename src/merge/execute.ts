import { randomBytes } from 'node:crypto';
import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import { keys, savedBelow } from '../catalog/keys.js';
import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { endFailed } from '../catalog/runs.js';
import type { Sources } from '../catalog/sources.js';
import { EmrError } from '../errors.js';
import type { JobContext, JobHandler } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { nameSource } from './name-source.js';
import { type MergePlan, planMerge } from './plan.js';
import { statisticsOf } from './registry.js';
import { runMerge } from './run.js';
import { findSavepoint, SavepointLost } from './savepoints.js';
import type { TileThreads } from './tile-threads.js';
import { together } from './together.js';
import { filesToVerify, type VerifyMode, verifyInputs } from './verify-inputs.js';

export interface ExecuteOptions {
  readonly store: Store;
  readonly sources: Sources;
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  readonly tileThreads: TileThreads;
  readonly threads: number | undefined;
  readonly verify: VerifyMode;
  /** How often a running merge notes how far it is. */
  readonly saveEveryMs?: number | undefined;
  readonly now: () => number;
}

/**
 * Runs a merge from its facts, and ends it with one: the whole of what a worker does. It may run twice at the same time:
 * each attempt writes under its own id, the commit record decides, and who comes late removes what it wrote.
 */
export function createMergeHandler(options: ExecuteOptions): JobHandler {
  const { store, merges } = options;
  return async ({ namespace, id, opening = 0 }, context) => {
    const fact = await merges.find(namespace, id);
    if (fact === undefined) return;
    // If it has ended, perhaps in a worker that died before it could remove what others had left.
    const before = await merges.settle(namespace, id);
    // The other is a job that nobody asks for any more.
    if (before.state !== 'open' || before.opening !== opening) return;

    const attempt = `${options.now().toString(36)}-${randomBytes(4).toString('hex')}`;
    const prefix = keys.attempt(namespace, id, attempt);
    let won = false;
    let failure: unknown;
    try {
      won = await runAttempt(options, namespace, fact, attempt, context);
    } catch (error) {
      failure = error;
    }
    // Before the fact that ends the merge: whoever reads it finds nothing left, and may ask for the merge again.
    if (!won && !(await mayBeCommitted(merges, namespace, id, attempt))) {
      // Another worker goes on from what is saved.
      const handedBack = context.signal.reason === 'shutdown';
      await store.deletePrefix(prefix, handedBack ? { keep: savedBelow(prefix) } : {});
    }
    // What attempts of workers that died left behind.
    if (won) await merges.sweep(namespace, id);
    if (failure === undefined) return;
    // Someone else has ended the merge, and removed the files that this attempt was writing: there is nothing left to do.
    const outcome = await merges.outcome(namespace, id).catch(() => undefined);
    const isOwn = outcome?.state === 'succeeded' && outcome.result.attempt === attempt;
    if (outcome && outcome.state !== 'open' && !isOwn) return;
    await endFailed(merges, { namespace, opening }, fact, context, failure);
  };
}

/**
 * The record decides, not the answer to writing it: that may be lost after it took effect, and a client that then repeats
 * the request is told that the record exists. While the record cannot be read, nothing may be removed.
 */
function mayBeCommitted(merges: MergeCatalog, namespace: string, id: string, attempt: string): Promise<boolean> {
  return merges.outcome(namespace, id).then(
    (outcome) => outcome.state === 'succeeded' && outcome.result.attempt === attempt,
    () => true,
  );
}

/** True if this attempt is the one that counts. */
async function runAttempt(
  options: ExecuteOptions,
  namespace: string,
  fact: RequestFact,
  attempt: string,
  { signal, progress }: JobContext,
): Promise<boolean> {
  const started = options.now();
  const plan = await planOf(options.checkpoints, namespace, fact);
  const run = {
    plan,
    store: options.store,
    sources: options.sources,
    tileThreads: options.tileThreads,
    prefix: keys.attempt(namespace, fact.id, attempt),
    threads: options.threads,
    saveEveryMs: options.saveEveryMs,
    onProgress: progress,
  };
  const savepoint = await findSavepoint(options.store, keys.attempts(namespace, fact.id));
  // Beside the merge, whose threads leave this one idle enough.
  const [artifacts] = await together(
    signal,
    (stop) =>
      runMerge({ ...run, savepoint, signal: stop }).catch((error: unknown) => {
        if (!(error instanceof SavepointLost)) throw error;
        return runMerge({ ...run, signal: stop });
      }),
    (stop) =>
      verifyInputs(options.sources, filesToVerify(plan, { mode: options.verify, seed: fact.id, now: started }), stop),
  ).catch((error: unknown) => {
    throw nameSource(error, plan);
  });
  signal.throwIfAborted();
  // Someone may have ended or deleted the merge meanwhile without reaching this process.
  const open = (await options.merges.outcome(namespace, fact.id)).state === 'open';
  if (!open || !(await options.merges.find(namespace, fact.id))) return false;
  const finished = options.now();
  return options.merges.succeed(namespace, fact.id, {
    attempt,
    finished_at: new Date(finished).toISOString(),
    seconds: (finished - started) / 1000,
    artifacts,
  });
}

/** The plan again, from the same checkpoints as when the merge was accepted: anything else is `checkpoint_changed`. */
async function planOf(checkpoints: CheckpointCatalog, namespace: string, fact: RequestFact): Promise<MergePlan> {
  const { request, digests } = fact;
  const load = async (name: string, digest: string) => {
    const record = await checkpoints.get(namespace, name);
    if (record.digest === digest) return record;
    throw new EmrError('checkpoint_changed', `${name} was replaced after the merge was accepted: ask for it again.`, {
      checkpoint: name,
    });
  };
  const statistics = statisticsOf(request);
  const base = await load(request.base, digests.base);
  const tasks = await Promise.all(
    request.tasks.map(async ({ name, checkpoint }, t) => ({
      name,
      record: await load(checkpoint, digests.tasks[t]!),
      statistics: statistics && (await load(statistics[t]!, digests.statistics![t]!)),
    })),
  );
  return planMerge({ request, base, tasks });
}
