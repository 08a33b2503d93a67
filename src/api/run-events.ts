import { setTimeout as delay } from 'node:timers/promises';
import type { RunState } from './schemas/run.js';

/** Often enough for a progress bar; a poll costs a look at three keys and one at the queue. */
const POLL_MS = 250;
/** Proxies close a connection that is silent for a minute or less. */
const HEARTBEAT_MS = 15_000;

/**
 * A merge or job as server-sent events: `progress` when something changed, at last how it ended. They end early when the
 * server closes, which would else wait for a run that nobody runs any more.
 */
export async function* runEvents(
  view: () => Promise<{ readonly state: RunState }>,
  closing?: AbortSignal,
): AsyncGenerator<string> {
  let sent = '';
  let quiet = 0;
  while (!closing?.aborted) {
    const run = await view();
    const data = JSON.stringify(run);
    const ended = run.state !== 'queued' && run.state !== 'running';
    if (ended) {
      yield `event: ${run.state}\ndata: ${data}\n\n`;
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
