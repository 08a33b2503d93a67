import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { JobCatalog } from '../catalog/jobs.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import { statisticsOf } from './registry.js';

/**
 * `checkpoint_in_use` if an unfinished merge or job reads the checkpoint, or (unless `force`) if it is the base of a merge that
 * succeeded: without it no task of that merge could be rebuilt. A merge that was given other content under this name does
 * not use it, and an upload that was never completed is used by none.
 */
export async function requireUnused(
  { merges, jobs, checkpoints }: { merges: MergeCatalog; jobs: JobCatalog; checkpoints: CheckpointCatalog },
  namespace: string,
  checkpoint: string,
  force: boolean,
): Promise<void> {
  const digest = (await checkpoints.find(namespace, checkpoint))?.digest;
  if (digest === undefined) return;
  for await (const { id, digests } of jobs.all(namespace)) {
    if (digests[checkpoint] !== digest || (await jobs.outcome(namespace, id)).state !== 'open') continue;
    throw new EmrError('checkpoint_in_use', `Job ${id} is not finished: cancel it or wait for it.`, { job: id });
  }
  for await (const { id, request, digests } of merges.all(namespace)) {
    const isBase = request.base === checkpoint && digests.base === digest;
    const isTask = request.tasks.some((task, t) => task.checkpoint === checkpoint && digests.tasks[t] === digest);
    const isStatistic = statisticsOf(request)?.some(
      (name, t) => name === checkpoint && digests.statistics?.[t] === digest,
    );
    if (!isBase && !isTask && !isStatistic) continue;
    const { state } = await merges.outcome(namespace, id);
    if (state === 'open') {
      throw new EmrError('checkpoint_in_use', `Merge ${id} is not finished: cancel it or wait for it.`, { merge: id });
    }
    if (state === 'succeeded' && isBase && !force) {
      throw new EmrError(
        'checkpoint_in_use',
        `Merge ${id} is rebuilt from this base: delete the merge first, or repeat with force=true.`,
        { merge: id },
      );
    }
  }
}
