import { EmrError } from '../errors.js';
import type { Services } from '../services.js';

/**
 * `overloaded` if so many merges and jobs wait that these are too many. What was accepted before takes no room: who asks
 * again, not knowing that, gets the same answer as ever. A queue that does not answer says nothing.
 */
export async function requireRoom<Request>(
  { queue, config }: Pick<Services, 'queue' | 'config'>,
  requests: readonly Request[],
  isKnown: (request: Request) => Promise<boolean>,
): Promise<void> {
  const counts = await queue.counts().catch(() => undefined);
  const room = config.maxWaitingMerges - (counts?.waiting ?? 0);
  if (counts === undefined || requests.length <= room) return;
  let fresh = 0;
  for (const request of requests) if (!(await isKnown(request))) fresh += 1;
  if (fresh === 0 || fresh <= room) return;
  throw new EmrError('overloaded', `${counts.waiting} merges and jobs wait already; try again when some have run.`, {
    waiting: counts.waiting,
    limit: config.maxWaitingMerges,
  });
}
