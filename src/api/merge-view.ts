import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import type { WorkQueue } from '../queue/types.js';
import type { Webhooks } from '../webhooks/webhooks.js';
import { viewRun } from './run-view.js';
import type { MergeView } from './schemas/merge.js';

/** A merge as the API shows it. */
export async function viewMerge(
  { merges, queue, webhooks }: { merges: MergeCatalog; queue: WorkQueue; webhooks: Webhooks },
  namespace: string,
  fact: RequestFact,
): Promise<MergeView> {
  const { id, created_at, request } = fact;
  const [outcome, name] = await Promise.all([merges.outcome(namespace, id), merges.nameOf(namespace, fact)]);
  const [run, told] = await Promise.all([
    viewRun(outcome, queue, { kind: 'merge', namespace, id }),
    webhooks.view(namespace, id, outcome),
  ]);
  const view = { id, ...(name ? { name } : {}), created_at, request, ...(told.length > 0 ? { webhooks: told } : {}) };
  if (run.state !== 'succeeded') return { ...view, ...run };
  const { finished_at, seconds, artifacts } = run.result;
  const bytes = artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0);
  return { ...view, ...run, result: { finished_at, seconds, bytes } };
}
