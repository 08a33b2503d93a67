import { setTimeout as delay } from 'node:timers/promises';
import type { MergeCatalog } from '../catalog/merges.js';
import type { Outcome, RunFact, Runs } from '../catalog/runs.js';
import { EmrError } from '../errors.js';
import type { RunKind, WorkQueue } from '../queue/types.js';

/** A run answers a cancel within this, or its worker is taken for dead and the API writes the fact itself. */
const CANCEL_WAIT_MS = 3_000;
const CANCEL_POLL_MS = 25;

type Ended = Pick<Outcome<unknown>, 'state' | 'opening'> & { readonly isSwept: boolean };

export interface Lifecycle {
  /** Ends the run as cancelled; returns when it is. `merge_ended` or `job_ended` if it has succeeded or failed. */
  cancel(namespace: string, id: string): Promise<void>;
  /**
   * Queues again every accepted run that has neither ended nor a job: after a restart, or when Redis lost its data. Removes
   * what is left of runs that have ended or were deleted, if whoever ended or deleted them died before he had.
   */
  reconcile(namespace: string, signal?: AbortSignal): Promise<number>;
}

/** What happens to merges, or to jobs, from outside of the worker that runs them. */
export function createLifecycle(
  kind: RunKind,
  runs: Pick<Runs<RunFact, unknown>, 'eachId' | 'find' | 'outcome' | 'cancel' | 'resumeRemoval'> &
    Partial<Pick<MergeCatalog, 'sweep'>>,
  queue: WorkQueue,
): Lifecycle {
  /**
   * By namespace: how runs had ended that were looked at last. A success needs no look again: should it be taken back
   * (catalog/attempts.ts), the worker that does so goes on with the merge.
   */
  const ended = new Map<string, ReadonlyMap<string, Ended>>();

  const isOpen = async (namespace: string, id: string, opening: number) => {
    const now = await runs.outcome(namespace, id);
    return now.state === 'open' && now.opening === opening;
  };

  return {
    async cancel(namespace, id) {
      const ended = await runs.outcome(namespace, id);
      // Again: who wrote that fact may have died before he had removed what was left of the attempts.
      if (ended.state === 'cancelled') return void (await runs.cancel(namespace, id, ended.opening));
      if (ended.state !== 'open') {
        throw new EmrError(`${kind}_ended`, `The ${kind} has ${ended.state} already.`, {
          [kind]: id,
          state: ended.state,
        });
      }
      const { opening } = ended;
      const answer = await queue.cancel({ kind, namespace, id, opening });
      // Whoever runs it stops, removes its files and writes the fact: so `cancelled` means that nothing is left.
      const until = Date.now() + (answer === 'signalled' ? CANCEL_WAIT_MS : 0);
      while (Date.now() < until) {
        // Until the queue has let go of the job too, its worker may be removing files.
        const hasJob = async () => (await queue.status({ kind, namespace, id, opening })) !== undefined;
        if (!(await isOpen(namespace, id, opening)) && !(await hasJob())) return;
        await delay(CANCEL_POLL_MS);
      }
      if (await isOpen(namespace, id, opening)) await runs.cancel(namespace, id, opening);
    },

    async reconcile(namespace, signal) {
      let queued = 0;
      const before = ended.get(namespace);
      const settled = new Map<string, Ended>();
      const look = async (id: string) => {
        const fact = await runs.find(namespace, id);
        if (fact === undefined) return runs.resumeRemoval(namespace, id);
        // One that is deleted and asked for again has the same id.
        const run = `${id} ${fact.created_at}`;
        const last = before?.get(run);
        if (last?.state === 'succeeded' && last.isSwept) return void settled.set(run, last);
        const { state, opening } = await runs.outcome(namespace, id);
        if (state === 'open') {
          if (await queue.status({ kind, namespace, id, opening })) return;
          await queue.enqueue({ kind, namespace, id, opening });
          queued += 1;
        } else {
          // Not as soon as it is seen: whoever ended it is still at it, or asks for it again at once.
          const isSeen = last?.state === state && last.opening === opening;
          if (isSeen && !last.isSwept) await runs.sweep?.(namespace, id);
          settled.set(run, { state, opening, isSwept: isSeen });
        }
      };
      await runs.eachId(namespace, look, signal).finally(() => ended.set(namespace, settled));
      return queued;
    },
  };
}
