/** A thread of clients that ask for the status of merges: alone in it, so that what they measure is not their own work. */
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { createClient, newTally } from './client.js';
import type { LoadSettings } from './settings.js';

const { url, seconds, pollers, pollMs } = workerData as LoadSettings;
/** Beside the others, a few that ask for what takes no work: how late any answer is here. */
const BARE = 10;
/** Clients come one after another: hundreds of connections in one moment measure the start of this process. */
const RAMP_MS = 5_000;

const tally = newTally();
const bare = newTally();
const end = performance.now() + seconds * 1000;
let merges: readonly string[] = [];
parentPort!.on('message', (ids: readonly string[]) => {
  merges = ids;
});

async function poll(n: number): Promise<void> {
  const isBare = n >= pollers;
  const client = createClient(url, isBare ? bare : tally);
  await pause((n * RAMP_MS) / (pollers + BARE));
  while (performance.now() < end) {
    const id = merges[(n + tally.done) % merges.length];
    if (isBare) await client.call('/healthz');
    else if (id !== undefined) await client.call(`/v1/merges/${id}`);
    await pause(pollMs);
  }
  client.close();
}

await Promise.all(Array.from({ length: pollers + BARE }, (_, n) => poll(n)));
parentPort!.postMessage({ status: tally, bare });
parentPort!.close();
