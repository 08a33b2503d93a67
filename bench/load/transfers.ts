/** A thread of clients that upload checkpoints, and of clients that download a rebuilt model range by range. */
import { setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { createClient, newTally, paced, rampOf } from './client.js';
import type { LoadSettings } from './settings.js';

const UPLOAD_BYTES = 8 * 2 ** 20;
const RANGE_BYTES = 4 * 2 ** 20;
const PIECE = 64 * 2 ** 10;

export interface TransferData extends LoadSettings {
  /** Path of a model that can be downloaded, and its size. */
  readonly model: string;
  readonly modelFileBytes: number;
}

const { url, seconds, uploaders, downloaders, bytesPerSecond, model, modelFileBytes } = workerData as TransferData;
const uploads = newTally();
const downloads = newTally();
const end = performance.now() + seconds * 1000;

const layout = layoutSafetensors([{ name: 'w', dtype: 'F32', shape: [UPLOAD_BYTES / 4] }]);
const piece = Buffer.alloc(PIECE, 1);

async function* checkpoint(): AsyncGenerator<Uint8Array> {
  yield layout.header;
  yield* paced(piece, UPLOAD_BYTES, bytesPerSecond);
}

async function upload(n: number): Promise<void> {
  const client = createClient(url, uploads);
  await pause(rampOf(n, uploaders));
  for (let round = 0; performance.now() < end; round += 1) {
    const name = `load-${n}-${round}`;
    const headers = { 'content-length': layout.bytes };
    const path = `/v1/checkpoints/${name}`;
    const put = await client.call(`${path}/files/model.safetensors`, { method: 'PUT', headers, body: checkpoint() });
    uploads.bytes += put.status === 200 ? layout.bytes : 0;
    if (put.status === 200) await client.call(`${path}/complete`, { method: 'POST' });
    if (put.status === 200) await client.call(path, { method: 'DELETE' });
  }
  client.close();
}

async function download(n: number): Promise<void> {
  const client = createClient(url, downloads);
  await pause(rampOf(n, downloaders));
  for (let at = n * RANGE_BYTES; performance.now() < end; at += RANGE_BYTES) {
    const first = at % Math.max(1, modelFileBytes - RANGE_BYTES);
    const range = `bytes=${first}-${first + RANGE_BYTES - 1}`;
    await client.call(model, { headers: { range }, bytesPerSecond });
  }
  client.close();
}

await Promise.all([
  ...Array.from({ length: uploaders }, (_, n) => upload(n)),
  ...Array.from({ length: downloaders }, (_, n) => download(n)),
]);
parentPort!.postMessage({ uploads, downloads });
parentPort!.close();
