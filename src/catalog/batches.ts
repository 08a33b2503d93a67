import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EmrError, toEmrError } from '../errors.js';
import { canonicalJson, type MergeRequest } from '../merge/request.js';
import type { Submitter } from '../merge/submit.js';
import { type EvaluationPlan, evaluationPlan, type FollowUp } from '../models/follow-up.js';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { keys } from './keys.js';
import type { MergeCatalog } from './merges.js';
import { isKnown } from './runs.js';

/** Of a batch, in one answer: whoever mends these finds the next. Each merge that is looked at is planned. */
export const MAX_REFUSALS = 100;
/** Of their JSON, past which no further one is listed: a single one names up to a thousand conflicts. */
const MAX_REFUSAL_CHARACTERS = 2 ** 20;

const batchFact = z.object({
  id: z.string(),
  created_at: z.string(),
  merges: z.array(z.string()),
  /** A data set for each task that is evaluated. */
  evaluate: evaluationPlan.optional(),
});
export type BatchFact = z.output<typeof batchFact>;

export interface Batches {
  /** All or none: if one request is refused, no merge of the batch is accepted, and the error lists the first refusals. */
  submit(namespace: string, requests: readonly MergeRequest[], evaluate?: EvaluationPlan): Promise<BatchFact>;
  /**
   * How many runs would wait at once: merges that `submit` would not find accepted already, and evaluations of those that it
   * would. Refuses merges that `submit` would refuse.
   */
  countFresh(namespace: string, requests: readonly MergeRequest[], evaluate?: EvaluationPlan): Promise<number>;
  get(namespace: string, id: string): Promise<BatchFact>;
}

export interface BatchesOptions {
  readonly store: Store;
  readonly submitter: Submitter;
  readonly merges: Pick<MergeCatalog, 'find' | 'outcome'>;
  readonly followUp: Pick<FollowUp, 'check' | 'ask'>;
  readonly now: () => number;
}

export function createBatches({ store, submitter, merges: catalog, followUp, now }: BatchesOptions): Batches {
  return {
    async submit(namespace, requests, evaluate) {
      await requireAll(requests, async (request) => {
        const id = await submitter.check(namespace, request);
        if (evaluate) await followUp.check(namespace, request, evaluate);
        return id;
      });
      const merges: string[] = [];
      for (const request of requests) {
        const { id } = (await submitter.submit(namespace, request)).fact;
        if (evaluate) await followUp.ask(namespace, id, evaluate);
        merges.push(id);
      }
      const fact = {
        id: batchIdOf(merges, evaluate),
        created_at: new Date(now()).toISOString(),
        merges,
        ...(evaluate ? { evaluate } : {}),
      };
      const created = await writeFact(store, keys.batch(namespace, fact.id), fact);
      return created ? fact : ((await readFact(store, keys.batch(namespace, fact.id), batchFact)) ?? fact);
    },
    async countFresh(namespace, requests, evaluate) {
      const ids: string[] = [];
      for (const request of requests) ids.push(await submitter.check(namespace, request));
      const evaluations = Object.keys(evaluate ?? {}).length;
      const isBatchKnown = await store.stat(keys.batch(namespace, batchIdOf(ids, evaluate)));
      let fresh = 0;
      for (const id of ids) {
        // Its evaluations wait in no queue before it has succeeded.
        if (!(await isKnown(catalog, namespace, id))) fresh += 1;
        else if (!isBatchKnown) fresh += evaluations;
      }
      return fresh;
    },
    async get(namespace, id) {
      const fact = await readFact(store, keys.batch(namespace, id), batchFact);
      if (fact) return fact;
      throw new EmrError('unknown_batch', `There is no batch with the id ${id}.`, { batch: id });
    },
  };
}

/** The same merges with the same evaluations are the same batch, as the same request is the same merge. */
function batchIdOf(merges: readonly string[], evaluate: EvaluationPlan | undefined): string {
  const hash = createHash('sha256').update(merges.join('\n'));
  if (evaluate) hash.update(canonicalJson(evaluate));
  return hash.digest('hex').slice(0, 32);
}

async function requireAll(
  requests: readonly MergeRequest[],
  check: (request: MergeRequest) => Promise<string>,
): Promise<void> {
  const refusals: object[] = [];
  let characters = 0;
  let looked = 0;
  const ids = new Map<string, string>();
  for (const [index, request] of requests.entries()) {
    if (refusals.length === MAX_REFUSALS || characters > MAX_REFUSAL_CHARACTERS) break;
    looked += 1;
    try {
      const id = await check(request);
      const { name } = request;
      if (name === undefined) continue;
      if ((ids.get(name) ?? id) !== id) {
        throw new EmrError('name_taken', `Two merges of the batch have the name ${name}.`, { name });
      }
      ids.set(name, id);
    } catch (error) {
      const { code, detail, facts } = toEmrError(error);
      if (code === 'internal') throw error;
      const refusal = { index, code, detail, ...facts };
      refusals.push(refusal);
      characters += JSON.stringify(refusal).length;
    }
  }
  if (refusals.length === 0) return;
  const of = looked === requests.length ? looked : `the first ${looked} of ${requests.length}`;
  throw new EmrError('batch_refused', `${refusals.length} of ${of} merges cannot be run as asked.`, { refusals });
}
