/** A client that uploads checkpoints while faults come, and tries again as a user's program would. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { CheckpointRecord } from '../../src/catalog/records.js';
import { folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { keys, readAll } from '../helpers/stores.js';
import type { Cluster } from './cluster.js';

/** One request to S3 a file, so that a trial has many uploads. */
const [TENSORS] = randomCheckpoints([{ name: 'w', shape: [50_000], dtypes: ['F32'] }], 0, 99);
/** Between tries, and between uploads, so that merges have the machine. */
const PAUSE_MS = 200;
/** More tries than faults take; who is refused still when they are over is refused for ever. */
const MAX_TRIES = 100;

/** What a service that is away, or has lost its store, may answer for a while. */
const passes = (status: number) => status >= 500 || status === 429;

interface Try {
  readonly name: string;
  readonly files: readonly (readonly [string, Uint8Array])[];
}

async function sendForm({ api }: Cluster, { name, files }: Try): Promise<Response> {
  const form = new FormData();
  form.append('name', name);
  for (const [file, bytes] of files) form.append('file', new Blob([bytes as Uint8Array<ArrayBuffer>]), file);
  return fetch(`${api.url}/v1/checkpoints`, { method: 'POST', body: form });
}

async function sendFiles({ api }: Cluster, { name, files }: Try): Promise<Response> {
  const path = `${api.url}/v1/checkpoints/${name}`;
  for (const [file, bytes] of files) {
    const put = await fetch(`${path}/files/${file}`, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> });
    if (put.status !== 200) return put;
  }
  return fetch(`${path}/complete`, { method: 'POST' });
}

/** Returns when the checkpoint is there: because it says so, or because a try whose answer was lost has done it. */
async function upload(cluster: Cluster, send: typeof sendForm, one: Try): Promise<void> {
  let last = '';
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    await pause(PAUSE_MS);
    try {
      const response = await send(cluster, one);
      const text = await response.text();
      if (response.status === 201) return;
      last = `${response.status} ${text}`;
      if (response.status === 409 && tries > 0 && text.includes('name_taken')) return;
      assert.ok(passes(response.status), `upload of ${one.name}: ${last}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      last = String(error);
    }
  }
  throw new Error(`${one.name} was never accepted: ${last}`);
}

/** Uploads one checkpoint after another until `over` says so, at least one by each way; their names and files. */
export async function uploadUntil(cluster: Cluster, over: AbortSignal): Promise<Try[]> {
  const uploaded: Try[] = [];
  const ways = [sendForm, sendFiles];
  while (!over.aborted || uploaded.length < ways.length) {
    const name = `late-${uploaded.length}`;
    const one = { name, files: [...folderOf(TENSORS!, { 'config.json': JSON.stringify({ name }) })] };
    await upload(cluster, ways[uploaded.length % ways.length]!, one);
    uploaded.push(one);
  }
  return uploaded;
}

/** Every checkpoint that was accepted is whole; then it is deleted, and nothing of it is left. */
export async function requireUploads(cluster: Cluster, uploaded: readonly Try[]): Promise<void> {
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  for (const { name, files } of uploaded) {
    const below = `default/checkpoints/${name}/`;
    const record = JSON.parse((await readAll(cluster.store, `${below}checkpoint.json`)).toString()) as CheckpointRecord;
    const stored = await Promise.all(
      record.files.map(async ({ name: file, location }) => [file, hash(await readAll(cluster.store, location.key))]),
    );
    assert.deepEqual(
      Object.fromEntries(stored),
      Object.fromEntries(files.map(([file, bytes]) => [file, hash(bytes)])),
      `files of ${name}`,
    );
    const response = await fetch(`${cluster.api.url}/v1/checkpoints/${name}`, { method: 'DELETE' });
    assert.equal(response.status, 204, await response.text());
    assert.deepEqual(await keys(cluster.store, below), [], `what is left of ${name}`);
  }
}
