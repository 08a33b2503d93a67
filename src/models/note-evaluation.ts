import type { Evaluations } from '../catalog/evaluations.js';
import type { JobFact, JobResult } from '../catalog/job-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { evaluationValues } from './task.js';

/** Keeps the evaluation of a merge's task with the merge too; nothing for other jobs, or when the merge is gone. */
export async function noteEvaluation(
  { merges, evaluations }: { merges: MergeCatalog; evaluations: Evaluations },
  namespace: string,
  { id, request }: JobFact,
  { backend, finished_at, ...result }: JobResult,
): Promise<void> {
  if (request.type !== 'evaluate' || !('merge' in request.model)) return;
  const { merge, ...rendering } = request.model;
  if (!(await merges.find(namespace, merge))) return;
  await evaluations.add(namespace, merge, {
    job: id,
    dataset: request.dataset,
    ...rendering,
    ...evaluationValues.parse(result),
    backend,
    at: finished_at,
  });
}
