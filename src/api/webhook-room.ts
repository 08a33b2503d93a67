import type { MergeRequest } from '../merge/request.js';
import type { Services } from '../services.js';

/** Refuses a webhook before a merge is accepted: a refusal changes nothing. */
export async function requireWebhook(
  { webhooks, submitter }: Pick<Services, 'webhooks' | 'submitter'>,
  namespace: string,
  requests: readonly MergeRequest[],
  url: string | undefined,
): Promise<void> {
  if (url === undefined) return;
  webhooks.check(url);
  for (const request of requests) {
    // What cannot be merged is refused by whoever accepts, with all that is wrong.
    const merge = await submitter.check(namespace, request).catch(() => undefined);
    if (merge !== undefined) await webhooks.checkRoom(namespace, merge, url);
  }
}
