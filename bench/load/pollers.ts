/** A thread of clients that ask for the status of merges: alone in it, so that what they measure is not their own work. */
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { createClient, newTally, rampOf } from './client.js';
import type { LoadSettings } from './settings.js';

const { url, seconds, pollers, pollMs } = workerData as LoadSettings;
/** Beside the others, a few that ask for what takes no work: how late any answer is here. */
const BARE = 10;

const tally = newTally();
const bare = newTally();
const began = performance.now();
const end = began + seconds * 1000;
let merges: readonly string[] = [];
parentPort!.on('message', (ids: readonly string[]) => {
  merges = ids;
});

/**
 * Each asks at its own times, whatever came of the one before, and counts from when it was due: so that a slow answer is not
 * followed by fewer questions, nor by all who waited for it asking in one moment from then on.
 */
async function poll(n: number): Promise<void> {
  const isBare = n >= pollers;
  const client = createClient(url, isBare ? bare : tally);
  for (let due = began + rampOf(n, pollers + BARE); due < end; due += pollMs) {
    await pause(Math.max(0, due - performance.now()));
    const id = merges[(n + tally.done) % merges.length];
    if (isBare) await client.call('/healthz', { due });
    else if (id !== undefined) await client.call(`/v1/merges/${id}`, { due });
  }
  client.close();
}

await Promise.all(Array.from({ length: pollers + BARE }, (_, n) => poll(n)));
parentPort!.postMessage({ status: tally, bare });
parentPort!.close();
