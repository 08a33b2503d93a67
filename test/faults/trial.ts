/** One trial: merges are asked for, faults come, and in the end everything must be as if there had been none. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { MergeBody } from '../helpers/api-client.js';
import { keys } from '../helpers/stores.js';
import { until } from '../helpers/until.js';
import { hashesBelow, requireArtifacts, requireIdle, requireNoArtifacts, requireNothingElse } from './checks.js';
import { type Cluster, type StoreKind, startCluster } from './cluster.js';
import { ruleOf } from './faults.js';
import type { Schedule } from './schedule.js';
import { requireUploads, uploadUntil } from './uploader.js';
import { type Expected, REQUESTS, referenceRun, removeMerge, uploadAll } from './workload.js';

/** A merge that has not ended so long after the last fault hangs. */
const HANG_MS = 120_000;
/** Over S3 each look is several requests, on the cores that the merges run on. */
const POLL_MS = 250;

export interface TrialOutcome {
  /** Codes of merges that failed for a fault, and were run again. */
  readonly failed: readonly string[];
  /** From the end of the last fault until the last merge had ended. */
  readonly recoverySeconds: number;
}

export interface Stage {
  readonly cluster: Cluster;
  /** By the index of the request. */
  readonly expected: readonly Expected[];
  /** The checkpoints as they were uploaded, by key. */
  readonly checkpoints: Readonly<Record<string, string>>;
}

/** A cluster with checkpoints, and what merges of them give without faults. */
export async function openStage(
  kind: StoreKind,
  lockSeconds: number,
  requests: readonly number[] = [...REQUESTS.keys()],
): Promise<Stage> {
  const cluster = await startCluster({ kind, lockSeconds });
  try {
    await uploadAll(cluster.api);
    const expected = await referenceRun(cluster.api, requests);
    return { cluster, expected, checkpoints: await hashesBelow(cluster, 'default/checkpoints/') };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

export async function runTrial({ cluster, expected, checkpoints }: Stage, schedule: Schedule): Promise<TrialOutcome> {
  const merges = schedule.requests.map((index) => ({ ...expected[index]!, request: REQUESTS[index]! }));
  for (const { request } of merges) await accept(cluster, request);
  const over = new AbortController();
  const uploading = uploadUntil(cluster, over.signal);
  uploading.catch(() => {}); // asked below, after the faults
  await Promise.all(
    schedule.faults.map(async (fault) => {
      await pause(fault.at);
      await ruleOf(fault.kind).cause(cluster, fault);
    }),
  );
  await cluster.revive();
  over.abort();
  const revived = performance.now();
  const ended = await Promise.all(merges.map(({ id }) => endOf(cluster, id)));
  const recoverySeconds = (performance.now() - revived) / 1000;

  const allowed = schedule.faults.flatMap(({ kind }) => ruleOf(kind).ends as readonly string[]);
  const failed: string[] = [];
  for (const [index, { state, error }] of ended.entries()) {
    if (state === 'succeeded') continue;
    assert.equal(state, 'failed');
    assert.ok(allowed.includes(error!.code), `failed for ${JSON.stringify(error)}`);
    failed.push(error!.code);
    const { id, request } = merges[index]!;
    await requireNoArtifacts(cluster, id);
    await accept(cluster, request);
    const again = await endOf(cluster, id);
    assert.equal(again.state, 'succeeded', `run again: ${JSON.stringify(again.error)}`);
  }
  await requireIdle(cluster);
  for (const merge of merges) await requireArtifacts(cluster, merge);
  await requireNothingElse(cluster, merges);
  await requireUploads(cluster, await uploading);
  assert.deepEqual(await hashesBelow(cluster, 'default/checkpoints/'), checkpoints, 'checkpoints are as they were');
  for (const { id } of merges) await removeMerge(cluster.api, id);
  await requireNothingElse(cluster, []);
  return { failed, recoverySeconds };
}

/** False if the merge was too soon done; then it is as if it had not been asked for. */
async function killWriting(cluster: Cluster, index: number): Promise<boolean> {
  await accept(cluster, REQUESTS[index]!);
  const written = () =>
    keys(cluster.store, 'default/merges/').then((found) => found.find((key) => key.includes('/a/')));
  const [, , id] = (await until('it is written', written)).split('/');
  await Promise.all(cluster.workers.map((_worker, w) => cluster.killWorker(w)));
  if ((await cluster.api.merge(id!)).state !== 'succeeded') return (await written()) !== undefined;
  await cluster.revive();
  await removeMerge(cluster.api, id!);
  return false;
}

/** A merge whose worker was killed is cancelled, and then run as if it had never been. */
export async function runCancelTrial({ cluster, expected }: Stage, index: number): Promise<void> {
  const merge = expected[index]!;
  await until('its worker is killed while it writes', () => killWriting(cluster, index), HANG_MS);
  await cluster.api.post(`/v1/merges/${merge.id}/cancel`, {}, [200]);
  assert.equal((await cluster.api.merge(merge.id)).state, 'cancelled');
  await requireNoArtifacts(cluster, merge.id);
  await cluster.revive();
  await accept(cluster, REQUESTS[index]!);
  assert.equal((await endOf(cluster, merge.id)).state, 'succeeded');
  await requireArtifacts(cluster, merge);
  await requireNothingElse(cluster, [merge]);
  await removeMerge(cluster.api, merge.id);
}

async function accept({ api }: Cluster, request: object): Promise<void> {
  await api.post('/v1/merges', request, [202]);
}

/** How a merge ended; asked again and again, since the API may be away for a while too. */
async function endOf(cluster: Cluster, id: string): Promise<MergeBody> {
  const end = Date.now() + HANG_MS;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const merge = await cluster.api.merge(id);
      if (merge.state !== 'queued' && merge.state !== 'running') return merge;
      last = merge;
    } catch (error) {
      last = String(error);
    }
    await pause(POLL_MS);
  }
  throw new Error(`merge ${id} has not ended: ${JSON.stringify(last)}`);
}
