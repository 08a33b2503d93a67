import { EmrError } from '../errors.js';
import type { Services } from '../services.js';

/**
 * `overloaded` if so many merges and jobs wait that those `asked` for are too many, `too_large` if they are more than may
 * ever wait. What was accepted before takes no room: who asks again, not knowing that, gets the same answer as ever. A
 * queue that does not answer says nothing.
 */
export async function requireRoom(
  { queue, config }: Pick<Services, 'queue' | 'config'>,
  asked: number,
  countFresh: () => Promise<number>,
): Promise<void> {
  const counts = await queue.counts().catch(() => undefined);
  const room = config.maxWaitingMerges - (counts?.waiting ?? 0);
  if (counts === undefined || asked <= room) return;
  const fresh = await countFresh();
  if (fresh === 0 || fresh <= room) return;
  if (fresh > config.maxWaitingMerges) {
    const detail = `${fresh} merges and jobs are asked for at once; ${config.maxWaitingMerges} may wait. Ask for fewer at a time.`;
    throw new EmrError('too_large', detail, {
      asked: fresh,
      limit: config.maxWaitingMerges,
      setting: 'EMR_MAX_WAITING_MERGES',
    });
  }
  throw new EmrError('overloaded', `${counts.waiting} merges and jobs wait already; try again when some have run.`, {
    waiting: counts.waiting,
    limit: config.maxWaitingMerges,
  });
}
