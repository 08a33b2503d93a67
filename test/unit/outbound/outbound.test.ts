import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Address } from '../../../src/outbound/addresses.js';
import { parseAllowedHost } from '../../../src/outbound/hosts.js';
import { createOutbound, type OutboundOptions } from '../../../src/outbound/outbound.js';
import { selfSigned, type TestCertificate } from '../../helpers/certificates.js';
import { gate } from '../../helpers/queue-handlers.js';
import { type Answer, startReceiver } from '../../helpers/receiver.js';

const LOOPBACK = ['127.0.0.0/8', '::1/128'];
const GET = { method: 'GET', headers: {}, maxBytes: 1000 };
/** Only ends what would else hang for the default. */
const SHORT_MS = 300;
const certificate = selfSigned('DNS:hooks.test', 'IP:127.0.0.1');

async function receiver(t: TestContext, answer?: Answer, tls?: TestCertificate) {
  const started = await startReceiver(answer, tls ? { tls } : {});
  t.after(started.close);
  return started;
}

const at = (address: string, family = 4) => [{ address, family }];

function outboundTo(host: string, options: Partial<OutboundOptions> = {}) {
  const resolve = async () => at('127.0.0.1');
  return createOutbound({ hosts: [parseAllowedHost(host)], networks: LOOPBACK, resolve, ...options });
}

test('nothing is called unless it is listed', async () => {
  const resolve = () => assert.fail('nobody is to be asked for a name that is not allowed');
  const outbound = createOutbound({ hosts: [], networks: LOOPBACK, resolve });
  for (const url of ['https://hooks.test/', 'http://127.0.0.1/', 'https://example.org/']) {
    assert.throws(() => outbound.check(url), { code: 'outbound_not_allowed' });
    await assert.rejects(outbound.call(url, GET), { code: 'outbound_not_allowed' });
  }
});

test('over TLS the name stays the name: Host, SNI and certificate', async (t) => {
  const server = await receiver(t, (_call, response) => void response.end('hello'), certificate);
  const outbound = outboundTo(`hooks.test:${server.port}`, { ca: certificate.cert });
  const body = Buffer.from('{"a":1}');
  const url = `https://hooks.test:${server.port}/in?x=1`;
  const answer = await outbound.call(url, { ...GET, method: 'POST', headers: { 'x-own': 'yes' }, body });
  assert.deepEqual([answer.status, answer.body.toString(), answer.truncated], [200, 'hello', false]);
  const [call] = server.calls;
  assert.deepEqual([call!.method, call!.path, call!.body], ['POST', '/in?x=1', '{"a":1}']);
  assert.equal(call!.servername, 'hooks.test');
  assert.equal(call!.headers.host, `hooks.test:${server.port}`);
  assert.equal(call!.headers['x-own'], 'yes');
  assert.equal(call!.headers['content-length'], '7');
});

test('a certificate of another name, or of nobody that is trusted, is refused, whatever the environment says', async (t) => {
  const server = await receiver(t, undefined, certificate);
  const failed = { code: 'outbound_failed' };
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
  const other = outboundTo(`other.test:${server.port}`, { ca: certificate.cert });
  await assert.rejects(other.call(`https://other.test:${server.port}/`, GET), failed);
  const untrusted = outboundTo(`hooks.test:${server.port}`);
  await assert.rejects(untrusted.call(`https://hooks.test:${server.port}/`, GET), failed);
  assert.deepEqual(server.calls, []);
  const address = outboundTo(`127.0.0.1:${server.port}`, { ca: certificate.cert });
  assert.equal((await address.call(`https://127.0.0.1:${server.port}/`, GET)).status, 204);
});

test('a name whose address is not public is not connected to', async (t) => {
  const server = await receiver(t);
  const answers: Record<string, readonly Address[]> = {
    'own.test': at('127.0.0.1'),
    'mapped.test': at('::ffff:127.0.0.1', 6),
    'mixed.test': [...at('1.1.1.1'), ...at('127.0.0.1')],
    'metadata.test': at('169.254.169.254'),
  };
  for (const [name, addresses] of Object.entries(answers)) {
    const host = `http://${name}:${server.port}`;
    const outbound = outboundTo(host, { networks: [], resolve: async () => addresses });
    await assert.rejects(outbound.call(`${host}/`, GET), { code: 'outbound_not_allowed' }, name);
  }
  for (const literal of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433']) {
    const host = `http://${literal}:${server.port}`;
    await assert.rejects(outboundTo(host, { networks: [] }).call(host, GET), { code: 'outbound_not_allowed' }, literal);
  }
  assert.equal(server.connections(), 0);
});

test('a name is resolved once: what it says at a second look is never called', async (t) => {
  // Nobody listens at the address that is allowed; at the other, the server does.
  const server = await receiver(t);
  const host = `http://rebind.test:${server.port}`;
  let asked = 0;
  const resolve = async () => {
    asked += 1;
    return asked === 1 ? at('127.0.0.2') : at('127.0.0.1');
  };
  const outbound = outboundTo(host, { networks: ['127.0.0.2/32'], resolve });
  await assert.rejects(outbound.call(host, GET), { code: 'outbound_failed' });
  assert.equal(asked, 1);
  assert.equal(server.connections(), 0);
  await assert.rejects(outbound.call(host, GET), { code: 'outbound_not_allowed' });
  assert.equal(asked, 2);
});

test('a redirect is an answer and is not followed', async (t) => {
  const inner = await receiver(t);
  const server = await receiver(t, (_call, response) => {
    response.writeHead(307, { location: `http://127.0.0.1:${inner.port}/secret` }).end();
  });
  const host = `http://hooks.test:${server.port}`;
  assert.equal((await outboundTo(host).call(host, GET)).status, 307);
  assert.equal(inner.connections(), 0);
});

test('a huge answer is read up to its limit', async (t) => {
  let sent = 0;
  const dropped = gate();
  const server = await receiver(t, (_call, response) => {
    response.on('close', dropped.open);
    const send = () => {
      if (response.destroyed) return;
      sent += 65_536;
      if (response.write(Buffer.alloc(65_536, 'a'))) setImmediate(send);
      else response.once('drain', send);
    };
    send();
  });
  const host = `http://hooks.test:${server.port}`;
  const answer = await outboundTo(host).call(host, GET);
  assert.deepEqual([answer.status, answer.body.byteLength, answer.truncated], [200, 1000, true]);
  await dropped.passed; // the connection is dropped: the server need not send for ever
  assert.ok(sent > 0);
  const head = await outboundTo(host).call(host, { ...GET, maxBytes: 0 });
  assert.deepEqual([head.status, head.body.byteLength], [200, 0]);
});

test('an answer that breaks off is none', async (t) => {
  const server = await receiver(t, (_call, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setImmediate(() => response.destroy());
  });
  const host = `http://hooks.test:${server.port}`;
  await assert.rejects(outboundTo(host).call(host, GET), { code: 'outbound_failed' });
});

test('a head that never ends is cut off', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n');
    const send = () => socket.writable && socket.write(`x-a: ${'a'.repeat(1000)}\r\n`, () => setImmediate(send));
    send();
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const host = `http://hooks.test:${(server.address() as AddressInfo).port}`;
  await assert.rejects(outboundTo(host).call(host, GET), {
    code: 'outbound_failed',
    facts: { host: new URL(host).host, reason: 'HPE_HEADER_OVERFLOW' },
  });
});

test('one time limit holds for the name, the connection, the head and the body', async (t) => {
  const late = { code: 'outbound_failed' };
  const isTimeout = (error: { code: string; facts: { reason: string } }) =>
    error.code === late.code && error.facts.reason === 'timeout';
  const call = { ...GET, timeoutMs: SHORT_MS };
  const silent = await receiver(t, () => {});
  const drip: Answer = (_call, response) => {
    const timer = setInterval(() => response.write('.'), 10);
    response.on('close', () => clearInterval(timer));
  };
  const dripping = await receiver(t, drip);
  for (const { port } of [silent, dripping]) {
    const host = `http://hooks.test:${port}`;
    await assert.rejects(outboundTo(host).call(host, call), isTimeout);
  }
  const noName = outboundTo('hooks.test', { resolve: () => new Promise(() => {}) });
  await assert.rejects(noName.call('https://hooks.test', call), isTimeout);
});

test('a call ends when its caller does not want it any more, with his reason', async (t) => {
  const server = await receiver(t, () => stop.abort('shutdown'));
  const stop = new AbortController();
  const host = `http://hooks.test:${server.port}`;
  const wanted = (error: unknown) => error === 'shutdown';
  await assert.rejects(outboundTo(host).call(host, { ...GET, signal: stop.signal }), wanted);
  await assert.rejects(outboundTo(host).call(host, { ...GET, signal: stop.signal }), wanted);
  assert.equal(server.calls.length, 1);
});

test('what failed is said without the path, which may be a secret', async (t) => {
  const server = await receiver(t);
  const host = `http://hooks.test:${server.port}`;
  await server.close();
  const quiet = (error: { code: string; message: string; facts: object }) =>
    error.code === 'outbound_failed' &&
    !`${error.message}${JSON.stringify(error.facts)}`.includes('token') &&
    error.message.includes('ECONNREFUSED');
  await assert.rejects(outboundTo(host).call(`${host}/token?token`, GET), quiet);
});

test('no proxy of the environment is asked', async (t) => {
  const server = await receiver(t, (_call, response) => void response.end('direct'));
  const proxy = await receiver(t);
  const own = `http://127.0.0.1:${server.port}`;
  const script = `
    import { createOutbound } from '${new URL('../../../src/outbound/outbound.js', import.meta.url)}';
    import { parseAllowedHost } from '${new URL('../../../src/outbound/hosts.js', import.meta.url)}';
    const outbound = createOutbound({ hosts: [parseAllowedHost('${own}')], networks: ['127.0.0.1/32'] });
    const { body } = await outbound.call('${own}', { method: 'GET', headers: {}, maxBytes: 100 });
    console.log(body.toString());`;
  const to = `http://127.0.0.1:${proxy.port}`;
  const env = { PATH: process.env.PATH, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: to, http_proxy: to, ALL_PROXY: to };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
  assert.equal(stdout.trim(), 'direct');
  assert.equal(proxy.connections(), 0);
});
