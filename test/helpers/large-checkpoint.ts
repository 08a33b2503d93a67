/** Checkpoints too large to hold, made while they are sent; and calls that stream them in and models out. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { randomNumbers } from './random-checkpoint.js';

const BLOCK = 2 ** 20;
const TENSORS = 8;

/** A safetensors file of about `bytes` bytes of F32: one random block after the other, the same for the same seed. */
export function largeCheckpoint(bytes: number, seed: number) {
  const n = bytes / TENSORS / 4;
  const tensors = Array.from({ length: TENSORS }, (_, i) => ({
    name: `layer.${i}`,
    dtype: 'F32' as const,
    shape: [n],
  }));
  const layout = layoutSafetensors(tensors);
  const next = randomNumbers(seed);
  const block = Buffer.from(Float32Array.from({ length: BLOCK / 4 }, () => next() - 0.5).buffer);
  return {
    bytes: layout.bytes,
    async *read(): AsyncGenerator<Buffer> {
      yield layout.header;
      for (let sent = 0; sent < bytes; sent += BLOCK) yield block.subarray(0, Math.min(BLOCK, bytes - sent));
    },
  };
}

type LargeCheckpoint = ReturnType<typeof largeCheckpoint>;

async function send(message: ClientRequest, parts: AsyncIterable<Buffer>, status: number): Promise<void> {
  const answered = once(message, 'response') as Promise<[IncomingMessage]>;
  for await (const part of parts) if (!message.write(part)) await once(message, 'drain');
  message.end();
  const [response] = await answered;
  const body = Buffer.concat(await response.toArray());
  assert.equal(response.statusCode, status, body.toString());
}

export async function putLarge(url: string, name: string, checkpoint: LargeCheckpoint): Promise<void> {
  const headers = { 'content-length': checkpoint.bytes };
  const path = `${url}/v1/checkpoints/${name}/files/model.safetensors`;
  await send(request(path, { method: 'PUT', headers }), checkpoint.read(), 200);
  const completed = await fetch(`${url}/v1/checkpoints/${name}/complete`, { method: 'POST' });
  assert.equal(completed.status, 201, await completed.text());
}

export async function postLarge(url: string, name: string, checkpoint: LargeCheckpoint): Promise<void> {
  const boundary = 'between-parts';
  const head = (disposition: string) => `--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`;
  async function* form() {
    yield Buffer.from(`${head('name="name"')}${name}\r\n${head('name="file"; filename="model.safetensors"')}`);
    yield* checkpoint.read();
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  const headers = { 'content-type': `multipart/form-data; boundary=${boundary}` };
  await send(request(`${url}/v1/checkpoints`, { method: 'POST', headers }), form(), 201);
}

/** Reads a file to its end and keeps nothing of it; its size. */
export async function drain(url: string): Promise<number> {
  const response = await fetch(url);
  assert.equal(response.status, 200);
  let bytes = 0;
  for await (const chunk of response.body!) bytes += chunk.byteLength;
  assert.equal(bytes, Number(response.headers.get('content-length')));
  return bytes;
}
