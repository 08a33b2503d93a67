/**
 * The short form of `npm run faults`: every kind of fault once, in trials whose schedules are written here. Each test is a
 * trial; trial.ts says what must hold at its end.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { privateRedis } from '../helpers/redis.js';
import { s3Server } from '../helpers/s3-server.js';
import { STORE_KINDS, type StoreKind } from './cluster.js';
import { type Fault, type FaultKind, faultKinds } from './faults.js';
import { openStage, runCancelTrial, runTrial, type Stage } from './trial.js';
import { REQUESTS } from './workload.js';

/** As short as the queue's clocks allow, so that dead workers are soon found. */
const LOCK_SECONDS = 1;
const MERGES = [REQUESTS.length - 1, 1, 0];

const fault = (kind: FaultKind, at: number, ms: number, draw = 0.3): Fault => ({ kind, at, ms, draw });

/** Faults of one trial come from different targets, or one after the other. */
const TRIALS: Readonly<Record<StoreKind, readonly (readonly Fault[])[]>> = {
  s3: [
    [fault('zombie-worker', 400, 300), fault('s3-500', 100, 400), fault('s3-truncated', 600, 400)],
    [fault('kill-worker', 500, 300), fault('s3-503', 0, 300), fault('s3-reset', 400, 300), fault('s3-lost', 800, 300)],
    [
      fault('kill-workers', 400, 100),
      fault('kill-api', 300, 400),
      fault('empty-redis', 500, 300),
      fault('s3-slow', 0, 400),
    ],
  ],
  file: [
    [fault('disk-full', 50, 1000, 0), fault('flush-redis', 300, 0)],
    [fault('source-missing', 0, 400), fault('kill-redis', 100, 400)],
    [fault('source-truncated', 100, 400, 0.9)],
  ],
};

const stages = new Map<StoreKind, Stage>();
let missing: string | undefined;

before(async () => {
  for (const needed of [await privateRedis(), await s3Server()]) {
    if ('skip' in needed) missing = needed.skip;
    else await needed.stop();
  }
  if (missing !== undefined) return;
  await Promise.all(STORE_KINDS.map(async (kind) => stages.set(kind, await openStage(kind, LOCK_SECONDS, MERGES))));
});

after(async () => {
  await Promise.all([...stages.values()].map(({ cluster }) => cluster.close()));
});

test('the trials below cause every kind of fault', () => {
  const caused = new Set(STORE_KINDS.flatMap((kind) => TRIALS[kind].flat().map((one) => one.kind)));
  assert.deepEqual([...caused].sort(), [...new Set(STORE_KINDS.flatMap(faultKinds))].sort());
});

for (const kind of STORE_KINDS) {
  for (const faults of TRIALS[kind]) {
    test(`${kind}: ${faults.map((one) => one.kind).join(', ')}`, async (t) => {
      if (missing !== undefined) return t.skip(missing);
      await runTrial(stages.get(kind)!, { seed: 0, store: kind, requests: MERGES, faults });
    });
  }
  test(`${kind}: cancelled after its worker was killed`, async (t) => {
    if (missing !== undefined) return t.skip(missing);
    await runCancelTrial(stages.get(kind)!, REQUESTS.length - 1);
  });
}
