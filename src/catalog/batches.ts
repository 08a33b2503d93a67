import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EmrError, toEmrError } from '../errors.js';
import type { MergeRequest } from '../merge/request.js';
import type { Submitter } from '../merge/submit.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { keys } from './keys.js';

const batchFact = z.object({ id: z.string(), created_at: z.string(), merges: z.array(z.string()) });
export type BatchFact = z.output<typeof batchFact>;

export interface Batches {
  /** All or none: if one request is refused, no merge of the batch is accepted, and the error lists each refusal. */
  submit(namespace: string, requests: readonly MergeRequest[]): Promise<BatchFact>;
  get(namespace: string, id: string): Promise<BatchFact>;
}

export function createBatches(store: Store, submitter: Submitter, now: () => number): Batches {
  return {
    async submit(namespace, requests) {
      await requireAll(submitter, namespace, requests);
      const merges: string[] = [];
      for (const request of requests) merges.push((await submitter.submit(namespace, request)).fact.id);
      // The same merges are the same batch, as the same request is the same merge.
      const id = createHash('sha256').update(merges.join('\n')).digest('hex').slice(0, 32);
      const fact = { id, created_at: new Date(now()).toISOString(), merges };
      const created = await writeFact(store, keys.batch(namespace, id), fact);
      return created ? fact : ((await readFact(store, keys.batch(namespace, id), batchFact)) ?? fact);
    },
    async get(namespace, id) {
      const fact = await readFact(store, keys.batch(namespace, id), batchFact);
      if (fact) return fact;
      throw new EmrError('unknown_batch', `There is no batch with the id ${id}.`, { batch: id });
    },
  };
}

async function requireAll(submitter: Submitter, namespace: string, requests: readonly MergeRequest[]): Promise<void> {
  const refusals: object[] = [];
  const ids = new Map<string, string>();
  for (const [index, request] of requests.entries()) {
    try {
      const id = await submitter.check(namespace, request);
      const { name } = request;
      if (name === undefined) continue;
      if ((ids.get(name) ?? id) !== id) {
        throw new EmrError('name_taken', `Two merges of the batch have the name ${name}.`, { name });
      }
      ids.set(name, id);
    } catch (error) {
      const { code, detail, facts } = toEmrError(error);
      if (code === 'internal') throw error;
      refusals.push({ index, code, detail, ...facts });
    }
  }
  if (refusals.length === 0) return;
  throw new EmrError('batch_refused', `${refusals.length} of ${requests.length} merges cannot be run as asked.`, {
    refusals,
  });
}
