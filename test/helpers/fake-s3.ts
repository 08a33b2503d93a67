import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/types.js';

export interface FakeRequest {
  readonly method: string;
  /** Path and query as sent, without the bucket. */
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type FakeAnswer = (request: FakeRequest, response: ServerResponse) => void;

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

/** An S3 error as XML. */
export function answerError(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<Error><Code>${code}</Code><Message>${code} at 127.0.0.1</Message></Error>`);
}

/** Runs `body` with an S3 store whose server answers as told: for faults that no real server shows when asked. */
export async function withFakeS3(answer: FakeAnswer, body: (store: Store, seen: FakeRequest[]) => Promise<void>) {
  const seen: FakeRequest[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    readBody(request).then(
      (bytes) => {
        const seenNow = { method, target: url.replace(/^\/bucket\/?/, ''), headers, body: bytes };
        seen.push(seenNow);
        answer(seenNow, response);
      },
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  process.env.AWS_ACCESS_KEY_ID ??= 'test';
  process.env.AWS_SECRET_ACCESS_KEY ??= 'test';
  const store = await openStore({ kind: 's3', bucket: 'bucket', prefix: '', endpoint: `http://127.0.0.1:${port}` });
  try {
    await body(store, seen);
  } finally {
    await store.close();
    server.closeAllConnections();
    server.close();
  }
}
