import { z } from 'zod';
import type { Store } from '../store/types.js';
import { readFact, writeFact } from './facts.js';
import { keys } from './keys.js';

/** How a task's model of a merge did on a data set: kept with the merge, and gone with it. */
export const evaluationFact = z.object({
  job: z.string(),
  task: z.string(),
  dataset: z.string(),
  rescaler: z.string().optional(),
  scope: z.string().optional(),
  steps: z.string().optional(),
  accuracy: z.number().describe('Share of the examples whose class has the largest output, 0 … 1.'),
  loss: z.number().describe('Mean cross-entropy, in nats.'),
  n: z.int(),
  backend: z.string(),
  at: z.string(),
});
export type EvaluationFact = z.output<typeof evaluationFact>;

export interface Evaluations {
  /** Written once; false if it was there. */
  add(namespace: string, merge: string, evaluation: EvaluationFact): Promise<boolean>;
  /** By task, then data set, then time. */
  list(namespace: string, merge: string): Promise<EvaluationFact[]>;
}

export function createEvaluations(store: Store): Evaluations {
  return {
    add: (namespace, merge, evaluation) =>
      writeFact(store, keys.evaluation(namespace, merge, evaluation.job), evaluation),
    async list(namespace, merge) {
      const found: EvaluationFact[] = [];
      for await (const { objects } of store.list(keys.evaluations(namespace, merge))) {
        for (const { key } of objects) {
          const fact = await readFact(store, key, evaluationFact);
          if (fact) found.push(fact);
        }
      }
      const order = ({ task, dataset, at }: EvaluationFact) => `${task} ${dataset} ${at}`;
      return found.sort((a, b) => (order(a) < order(b) ? -1 : 1));
    },
  };
}
