import assert from 'node:assert/strict';
import { readConfig } from '../../src/config.js';
import { until } from '../helpers/until.js';
import { openStage } from './trial.js';
import { REQUESTS, removeMerge } from './workload.js';

/** Longer than any promise: ends a measurement that would hang. */
const LIMIT_MS = 120_000;

/** With two workers and the default lock: from the kill -9 of the one that runs a merge until the other has begun it. */
export async function measureRecovery(times: number, say: (line: string) => void): Promise<void> {
  const { cluster, expected } = await openStage('file', readConfig({}).lockMs / 1000);
  try {
    for (let time = 1; time <= times; time++) {
      // The logs of new workers say nothing of earlier runs, that without faults among them.
      await Promise.all([0, 1].map((index) => cluster.killWorker(index)));
      await cluster.revive();
      const { api, workers } = cluster;
      const { id } = expected.at(-1)!;
      await api.post('/v1/merges', REQUESTS.at(-1)!, [202]);
      const dying = await until('a worker begins', () => workers.find((worker) => worker.began(id)), LIMIT_MS);
      const other = workers.find((worker) => worker !== dying)!;
      assert.ok(!other.began(id));
      await cluster.killWorker(workers.indexOf(dying));
      const killed = performance.now();
      await until('the other begins', () => other.began(id), LIMIT_MS);
      const begun = performance.now();
      await api.ended(id);
      const done = performance.now();
      const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
      say(`taken up ${seconds(killed, begun)} s after kill -9, done ${seconds(begun, done)} s later`);
      await removeMerge(api, id);
    }
  } finally {
    await cluster.close();
  }
}
