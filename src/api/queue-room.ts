import { EmrError } from '../errors.js';
import type { Services } from '../services.js';

/** `overloaded` if so many merges wait that this many more are too many. A queue that does not answer says nothing. */
export async function requireRoom(
  { queue, config }: Pick<Services, 'queue' | 'config'>,
  merges: number,
): Promise<void> {
  const counts = await queue.counts().catch(() => undefined);
  if (counts === undefined || counts.waiting + merges <= config.maxWaitingMerges) return;
  throw new EmrError('overloaded', `${counts.waiting} merges and jobs wait already; try again when some have run.`, {
    waiting: counts.waiting,
    limit: config.maxWaitingMerges,
  });
}
