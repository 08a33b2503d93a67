import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';

/**
 * `checkpoint_in_use` if an unfinished merge reads the checkpoint, or (unless `force`) if it is the base of a merge that
 * succeeded: without it no task of that merge could be rebuilt.
 */
export async function requireUnused(
  merges: MergeCatalog,
  namespace: string,
  checkpoint: string,
  force: boolean,
): Promise<void> {
  for await (const { id, request } of merges.all(namespace)) {
    const isBase = request.base === checkpoint;
    if (!isBase && !request.tasks.some((task) => task.checkpoint === checkpoint)) continue;
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
