/** Downloads whose maker uses its buffers again, to a client that reads slowly. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import Fastify from 'fastify';
import { sendDownload } from '../../../src/api/send-download.js';
import type { Download } from '../../../src/merge/models.js';
import { CHUNKS_HELD } from '../../../src/merge/reconstruct.js';
import { pattern } from '../../helpers/stores.js';

/** More than the sockets of both sides take, so that the server has to wait. */
const BYTES = 24_000_000;

/** Overwrites a chunk as soon as it may. */
function download(bytes: Buffer, sizes: readonly number[]): Download {
  async function* read(start: number, end: number): AsyncGenerator<Uint8Array> {
    const held: Buffer[] = [];
    for (let at = start, turn = 0; at < end; turn++) {
      const chunk = Buffer.from(bytes.subarray(at, Math.min(end, at + sizes[turn % sizes.length]!)));
      at += chunk.byteLength;
      yield chunk;
      held.push(chunk);
      if (held.length > CHUNKS_HELD) held.shift()!.fill(0);
    }
  }
  return { bytes: bytes.byteLength, etag: 'tag', name: 'model.safetensors', read };
}

/** The body, read only after the server has filled every buffer on the way. */
function readLate(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => {
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      socket.pause();
      setTimeout(() => socket.resume(), 300);
    });
    socket.on('data', (part) => parts.push(part));
    socket.on('error', reject);
    socket.on('end', () => {
      const answer = Buffer.concat(parts);
      resolve(answer.subarray(answer.indexOf('\r\n\r\n') + 4));
    });
  });
}

for (const sizes of [[1_000], [2 ** 20], [2 ** 20, 600, 600, 600, 600, 70_000, 600]]) {
  test(`a client that reads late gets the right bytes of chunks of ${sizes}`, async () => {
    const bytes = pattern(BYTES);
    const app = Fastify();
    app.get('/', (request, reply) => sendDownload(request, reply, download(bytes, sizes)));
    await app.listen({ host: '127.0.0.1', port: 0 });
    try {
      assert.ok((await readLate((app.server.address() as { port: number }).port)).equals(bytes));
    } finally {
      await app.close();
    }
  });
}
