import { setTimeout as delay } from 'node:timers/promises';
import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import type { MergeQueue } from '../queue/types.js';

/** A running merge answers a cancel within this, or its worker is taken for dead and the API writes the fact itself. */
const CANCEL_WAIT_MS = 3_000;
const CANCEL_POLL_MS = 25;

export interface Lifecycle {
  /** Ends the merge as cancelled; returns when it is. `merge_ended` if it has succeeded or failed. */
  cancel(namespace: string, id: string): Promise<void>;
  /** Queues again every accepted merge that has neither ended nor a job: after a restart, or when Redis lost its data. */
  reconcile(namespace: string): Promise<number>;
}

export function createLifecycle(merges: MergeCatalog, queue: MergeQueue): Lifecycle {
  /** Never changes back: a merge that succeeded needs no look again. */
  const succeeded = new Set<string>();

  return {
    async cancel(namespace, id) {
      const ended = await merges.outcome(namespace, id);
      if (ended.state === 'cancelled') return;
      if (ended.state !== 'open') {
        throw new EmrError('merge_ended', `The merge has ${ended.state} already.`, { merge: id, state: ended.state });
      }
      const answer = await queue.cancel({ namespace, id });
      // Whoever runs it stops, removes its files and writes the fact: so `cancelled` means that nothing is left.
      const until = Date.now() + (answer === 'signalled' ? CANCEL_WAIT_MS : 0);
      while (Date.now() < until) {
        const { state } = await merges.outcome(namespace, id);
        // Until the queue has let go of the job too, the same merge could not be queued again.
        if (state !== 'open' && (await queue.status({ namespace, id })) === undefined) return;
        await delay(CANCEL_POLL_MS);
      }
      if ((await merges.outcome(namespace, id)).state === 'open') await merges.cancel(namespace, id);
    },

    async reconcile(namespace) {
      let queued = 0;
      for await (const { id } of merges.all(namespace)) {
        if (succeeded.has(id)) continue;
        const { state } = await merges.outcome(namespace, id);
        if (state === 'succeeded') succeeded.add(id);
        if (state !== 'open' || (await queue.status({ namespace, id }))) continue;
        await queue.enqueue({ namespace, id });
        queued += 1;
      }
      return queued;
    },
  };
}
