import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import type { JobStatus, MergeQueue, Progress } from '../queue/types.js';
import type { MergeView } from './schemas/merge.js';

/** A merge as the API shows it: its state from the facts, and while there is no outcome from the queue. */
export async function viewMerge(
  { merges, queue }: { merges: MergeCatalog; queue: MergeQueue },
  namespace: string,
  fact: RequestFact,
): Promise<MergeView> {
  const { id, created_at, request } = fact;
  const [outcome, name] = await Promise.all([merges.outcome(namespace, id), merges.nameOf(namespace, fact)]);
  const view = { id, ...(name ? { name } : {}), created_at, request, attempts: 0 };
  switch (outcome.state) {
    case 'succeeded': {
      const { finished_at, seconds, artifacts } = outcome.result;
      const bytes = artifacts.reduce((sum, artifact) => sum + artifact.bytes, 0);
      return { ...view, state: 'succeeded', result: { finished_at, seconds, bytes } };
    }
    case 'failed': {
      const { facts, ...error } = outcome.error;
      return { ...view, state: 'failed', error: { ...facts, ...error } };
    }
    case 'cancelled':
      return { ...view, state: 'cancelled' };
    case 'open': {
      // A queue that does not answer knows nothing: the merge is accepted all the same, and waits.
      const status = await queue.status({ namespace, id }).catch(() => undefined);
      return { ...view, ...running(status) };
    }
  }
}

function running(
  status: JobStatus | undefined,
): Pick<MergeView, 'state' | 'attempts'> & { progress?: Progress & { percent: number; eta_seconds: number | null } } {
  const attempts = status?.attempts ?? 0;
  if (status?.state !== 'active') return { state: 'queued', attempts };
  return { state: 'running', attempts, ...(status.progress ? { progress: withEstimates(status.progress) } : {}) };
}

function withEstimates(progress: Progress) {
  const { bytes_done, bytes_total, bytes_per_second } = progress;
  const percent = bytes_total === 0 ? 0 : Math.floor((1000 * bytes_done) / bytes_total) / 10;
  const eta = bytes_per_second > 0 ? Math.round((bytes_total - bytes_done) / bytes_per_second) : null;
  return { ...progress, percent, eta_seconds: eta };
}
