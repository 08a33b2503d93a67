/** What must hold after every trial, whatever was done to the service. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { filesBelow } from '../helpers/server.js';
import type { ServiceProcess } from '../helpers/service-process.js';
import { keys, readAll } from '../helpers/stores.js';
import type { Cluster } from './cluster.js';
import { type Expected, modelHash } from './workload.js';

/** Attempts that lost their merge notice it at its end, and a zombie at its next write. */
const SETTLE_MS = 30_000;
const POLL_MS = 100;

/** Waits until `look` finds nothing amiss, and fails with what it found last. */
async function settle(look: () => Promise<readonly string[]>): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  let amiss = await look();
  while (amiss.length > 0 && Date.now() < end) {
    await pause(POLL_MS);
    amiss = await look();
  }
  assert.deepEqual(amiss, []);
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Everything below a prefix by key, as hashes. */
export async function hashesBelow({ store }: Cluster, prefix: string): Promise<Record<string, string>> {
  const hashes: Record<string, string> = {};
  for (const key of await keys(store, prefix)) hashes[key] = sha256(await readAll(store, key));
  return hashes;
}

export async function requireArtifacts(cluster: Cluster, { id, artifacts, model }: Expected): Promise<void> {
  assert.deepEqual(await cluster.api.files(id), artifacts, `artifacts of ${id}`);
  const result = await readAll(cluster.store, `default/merges/${id}/result.json`);
  const { attempt } = JSON.parse(result.toString()) as { attempt: string };
  const stored = await hashesBelow(cluster, `default/merges/${id}/a/${attempt}/`);
  for (const { path, sha256: expected } of artifacts) {
    assert.equal(stored[`default/merges/${id}/a/${attempt}/${path}`], expected, path);
  }
  assert.equal(await modelHash(cluster.api, id), model, `model of ${id}`);
}

/** Of a merge that was asked for again also how it ended before. */
const FACT = /^default\/merges\/\w+\/(request|result|(error|cancelled)(-\d+)?|opened\/\d+)\.json$/;

/** Of every merge its facts and the artifacts of one attempt: no other attempt, no half of a file, no part of an upload. */
export async function requireNothingElse(cluster: Cluster, expected: readonly Expected[]): Promise<void> {
  await settle(async () => [...(await strangers(cluster, expected)), ...(await unfinished(cluster))]);
}

/** Of a merge that failed or was cancelled: whatever died meanwhile, no file of any attempt. */
export async function requireNoArtifacts(cluster: Cluster, id: string): Promise<void> {
  const below = `merges/${id}/a/`;
  await settle(async () => [
    ...(await keys(cluster.store, `default/${below}`)),
    ...(await unfinished(cluster)).filter((place) => place.includes(below)),
  ]);
}

async function strangers({ store }: Cluster, expected: readonly Expected[]): Promise<string[]> {
  const found = await keys(store, 'default/merges/');
  return found.filter((key) => {
    const [, , id, first, attempt, ...path] = key.split('/');
    const merge = expected.find((one) => one.id === id);
    if (!merge || first === undefined) return true;
    if (FACT.test(key)) return false;
    const attempts = new Set(found.filter((other) => other.includes(`${id}/a/`)).map((other) => other.split('/')[4]));
    return attempts.size > 1 || !attempt || merge.artifacts.every((artifact) => artifact.path !== path.join('/'));
  });
}

async function unfinished({ s3, folder }: Cluster): Promise<string[]> {
  if (!s3) return (await filesBelow(folder)).filter((path) => path.includes('.tmp-'));
  const { Uploads = [] } = await s3.server.client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket }));
  return Uploads.map(({ Key }) => `upload of ${Key}`);
}

/** Starts and ends of attempts in a worker's log. */
function attemptsUnderWay({ lines }: ServiceProcess): number {
  const count = (text: RegExp) => lines.filter((line) => text.test(line)).length;
  return count(/"merge started"/) - count(/"merge ended"|"merge attempt failed/);
}

/** Nobody hangs: every process answers, and no worker is still at something. */
export async function requireIdle({ workers, api, apiProcess }: Cluster): Promise<void> {
  await settle(async () => [
    ...workers.filter((worker) => attemptsUnderWay(worker) > 0).map(({ pid }) => `worker ${pid} is busy`),
    ...[apiProcess, ...workers].filter(({ alive }) => !alive).map(({ pid }) => `process ${pid} has ended`),
    ...(await fetch(`${api.url}/readyz`).then(
      ({ status }) => (status === 200 ? [] : [`/readyz answers ${status}`]),
      (error: unknown) => [String(error)],
    )),
  ]);
}
