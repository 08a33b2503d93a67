/** What is done at the end of a request is done for clients that go away, too: whenever they do. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import Fastify from 'fastify';
import pino from 'pino';
import { MAX_OPEN_ANSWERS } from '../../../src/api/limits.js';
import { audit } from '../../../src/api/plugins/audit.js';
import { auth } from '../../../src/api/plugins/auth.js';
import { metrics } from '../../../src/api/plugins/metrics.js';
import { places } from '../../../src/api/plugins/places.js';
import { problems } from '../../../src/api/plugins/problems.js';
import { endIdle, requestEnd } from '../../../src/api/plugins/request-end.js';
import { securityHeaders } from '../../../src/api/plugins/security-headers.js';
import { gate } from '../../helpers/queue-handlers.js';
import { openRequest } from '../../helpers/raw-http.js';
import { until } from '../../helpers/until.js';

const access = { key: 'k', namespace: 'ns', scope: 'write', limits: {}, counted: false } as const;

/** An app whose key check and whose handlers wait for the test. */
async function heldApp() {
  const audits: Record<string, unknown>[] = [];
  const log = new Writable({
    write(line, _encoding, done) {
      const { audit: found } = JSON.parse(String(line));
      if (found) audits.push(found);
      done();
    },
  });
  const app = Fastify({ loggerInstance: pino(log), forceCloseConnections: true });
  after(() => app.close());
  const [keys, handlers] = [gate(), gate()];
  const [atKeys, atHandler] = [gate(), gate()];
  const ended: [url: string, status: number, sent: boolean][] = [];
  let answer: ServerResponse | undefined;

  await app.register(securityHeaders);
  await app.register(requestEnd);
  app.onRequestEnd(({ url }, { statusCode }, sent) => ended.push([url, statusCode, sent]));
  await app.register(problems);
  app.addHook('onRequest', async (_request, reply) => {
    answer = reply.raw;
  });
  const admit = async (key: string | undefined) => {
    atKeys.open();
    if (key === 'slow') await keys.passed;
    return access;
  };
  await app.register(auth, { guard: { admit } });
  await app.register(audit);
  await app.register(places, { limits: { uploads: 1, reconstructions: 1, downloads: 1 } });
  await app.register(metrics, { queue: { counts: async () => ({ waiting: 0, active: 0 }) } });
  const write = { scope: 'write', place: 'uploads' } as const;
  app.post('/quick', { config: write }, async (_request, reply) => reply.status(201).send('made'));
  app.post('/slow', { config: write }, async (_request, reply) => {
    atHandler.open();
    await handlers.passed;
    return reply.status(202).header('location', '/made').send('made');
  });
  const held = { begun: 0, refused: 0 };
  app.addHook('onError', async () => {
    held.refused += 1;
  });
  app.get('/held', { config: { scope: 'read' } }, async () => {
    held.begun += 1;
    await handlers.passed;
    return 'waited';
  });
  app.get('/stream', { config: { scope: 'read', place: 'reconstructions' } }, async (_request, reply) =>
    reply.send(Readable.from(endless())),
  );
  const url = await app.listen({ host: '127.0.0.1', port: 0 });

  return {
    app,
    ended,
    audits,
    held,
    atKeys: atKeys.passed,
    atHandler: atHandler.passed,
    releaseKeys: keys.open,
    releaseHandlers: handlers.open,
    open: (method: string, path: string, headers = {}) => openRequest(url + path, { method, headers }),
    /** Once the server knows that the client of its last request has gone. */
    gone: () => until('the server sees it', () => answer?.destroyed),
    post: async (path: string) => (await fetch(url + path, { method: 'POST' })).status,
  };
}

async function* endless() {
  for (;;) yield Buffer.alloc(1 << 16);
}

test('a request whose answer was sent ends once', async () => {
  const { ended, audits, post } = await heldApp();
  assert.equal(await post('/quick'), 201);
  await until('it has ended', () => ended.length);
  assert.deepEqual(ended, [['/quick', 201, true]]);
  assert.equal(audits.length, 1);
  assert.equal(audits[0]?.aborted, undefined);
});

test('a request whose client went away ends once, when its handler has, with what that did', async () => {
  const { app, ended, audits, atHandler, releaseHandlers, open, gone, post } = await heldApp();
  const client = open('POST', '/slow');
  client.end();
  await atHandler;
  client.destroy();
  await gone();
  assert.equal(await post('/quick'), 503); // its place is still taken
  const slow = () => ended.filter(([url]) => url === '/slow');
  assert.deepEqual(slow(), []);
  releaseHandlers();
  await until('it has ended', () => slow().length);
  assert.deepEqual(slow(), [['/slow', 202, false]]);
  assert.deepEqual(
    audits.filter(({ action }) => action === 'POST /slow'),
    [{ key: 'k', namespace: 'ns', action: 'POST /slow', object: '/made', status: 202, aborted: true }],
  );
  assert.equal(await post('/quick'), 201);
  const figures = (await app.inject('/metrics')).body;
  assert.match(figures, /emr_http_request_seconds_count\{method="POST",route="\/slow",status="202"\} 1\n/);
});

test('a client that goes away while its key is looked up leaves no place taken, and no write without a line', async () => {
  const { ended, audits, atKeys, releaseKeys, open, gone, post } = await heldApp();
  const json = { authorization: 'slow', 'content-type': 'application/json', 'content-length': 2 };
  const client = open('POST', '/quick', json);
  client.write('{');
  await atKeys;
  client.destroy();
  await gone();
  releaseKeys();
  await until('it has ended', () => ended.length);
  assert.deepEqual(ended, [['/quick', 400, false]]);
  const [line] = audits;
  assert.deepEqual([line?.code, line?.aborted], ['upload_incomplete', true]);
  assert.equal(await post('/quick'), 201);
});

test('a download whose client goes away, before it or amid it, ends once', async () => {
  const { ended, atKeys, releaseKeys, open, gone } = await heldApp();
  const early = open('GET', '/stream', { authorization: 'slow' });
  early.end();
  await atKeys;
  early.destroy();
  await gone();
  releaseKeys();
  await until('it has ended', () => ended.length);
  const late = open('GET', '/stream');
  late.end();
  const [response] = await once(late, 'response');
  assert.equal(response.statusCode, 200); // the place of the other is free
  late.destroy();
  await until('it has ended', () => ended.length === 2);
  assert.deepEqual(ended[1], ['/stream', 200, false]);
});

test('requests behind another one on their connection end with it', async () => {
  const { app, ended } = await heldApp();
  const { port } = app.server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client, 'data');
  client.destroy();
  await until('both have ended', () => ended.length === 2);
  assert.deepEqual(
    ended.map(([url, , sent]) => [url, sent]),
    [
      ['/stream', false],
      ['/metrics', false],
    ],
  );
});

test('of requests one behind the other only so many begin, and the others are asked to come again', async () => {
  const { app, held, releaseHandlers } = await heldApp();
  const { port } = app.server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  const get = 'GET /held HTTP/1.1\r\nHost: x\r\n';
  client.write(`${get}\r\n`.repeat(MAX_OPEN_ANSWERS + 2).concat(get, 'Connection: close\r\n\r\n'));
  await until('three are refused', () => held.refused === 3);
  assert.equal(held.begun, MAX_OPEN_ANSWERS);
  releaseHandlers();
  const answers = (await text(client)).split(/(?=HTTP\/1\.1 )/);
  assert.deepEqual(
    answers.map((answer) => answer.slice(9, 12)),
    [...Array.from({ length: MAX_OPEN_ANSWERS }, () => '200'), '503', '503', '503'],
  );
  const refusal = answers.at(-1)!;
  assert.match(refusal, /"code":"overloaded"/);
  assert.match(refusal, /^retry-after: \d+\r$/m);
  assert.match(refusal, /^x-content-type-options: nosniff\r$/m);
  assert.equal(held.begun, MAX_OPEN_ANSWERS);
});

/** As `heldApp`, on connections that may be idle for moments only. */
async function idlingApp() {
  const held = await heldApp();
  held.app.server.setTimeout(50, endIdle);
  return held;
}

test('a connection is not idle while its client waits for an answer, however late, and is when that is not read', async () => {
  const { app, ended, releaseKeys, open } = await idlingApp();
  const client = open('GET', '/stream', { authorization: 'slow' });
  client.end();
  const [socket] = await once(app.server, 'timeout');
  assert.equal(socket.destroyed, false);
  releaseKeys();
  const [response] = await once(client, 'response');
  assert.equal(response.statusCode, 200);
  await until('it is ended', () => ended.length);
  assert.deepEqual(ended, [['/stream', 200, false]]);
});

test('a connection whose client sends half a request is ended', async () => {
  const { ended, open } = await idlingApp();
  const client = open('POST', '/slow', { 'content-type': 'application/json', 'content-length': 2 });
  client.write('{');
  await until('it is ended', () => ended.length);
  assert.deepEqual(ended, [['/slow', 400, false]]);
});
