import { setTimeout as delay } from 'node:timers/promises';
import type { MergeView } from './schemas/merge.js';

/** Often enough for a progress bar; a poll costs a look at three keys and one at the queue. */
const POLL_MS = 250;
/** Proxies close a connection that is silent for a minute or less. */
const HEARTBEAT_MS = 15_000;

/**
 * The merge as server-sent events: `progress` when something changed, at last how it ended. They end early when the
 * server closes, which would else wait for a merge that nobody runs any more.
 */
export async function* mergeEvents(view: () => Promise<MergeView>, closing?: AbortSignal): AsyncGenerator<string> {
  let sent = '';
  let quiet = 0;
  while (!closing?.aborted) {
    const merge = await view();
    const data = JSON.stringify(merge);
    const ended = merge.state !== 'queued' && merge.state !== 'running';
    if (ended) {
      yield `event: ${merge.state}\ndata: ${data}\n\n`;
      return;
    }
    if (data !== sent) {
      yield `event: progress\ndata: ${data}\n\n`;
      sent = data;
      quiet = 0;
    } else if (quiet >= HEARTBEAT_MS) {
      yield ': still here\n\n';
      quiet = 0;
    }
    await delay(POLL_MS, undefined, closing ? { signal: closing } : {}).catch(() => {});
    quiet += POLL_MS;
  }
}
