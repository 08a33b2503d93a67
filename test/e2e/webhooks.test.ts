import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { MergeView } from '../../src/api/schemas/merge.js';
import { ROOT } from '../helpers/documents.js';
import { family, randomTensor, singleFile } from '../helpers/model-files.js';
import { type Answer, type ReceivedCall, type Receiver, startReceiver } from '../helpers/receiver.js';
import { type Environment, type Json, type TestServer, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const OLD_SECRET = `whsec_${randomBytes(24).toString('base64')}`;
/** Between tries; each further wait is four times as long. */
const WAIT_SECONDS = '0.02';
/** Part of a URL that is nobody's business but the receiver's. */
const TOKEN = 'planted-token-4711';

/** The check that docs/webhooks.md gives to receivers. */
const { isGenuine } = (await import(pathToFileURL(join(ROOT, 'docs/snippets/verify-webhook.mjs')).href)) as {
  isGenuine(secret: string, headers: object, body: string, now?: number): boolean;
};

const { base, tasks } = family(2);
const MERGE = { base: 'base', tasks: [0, 1].map((t) => ({ name: `t${t}`, checkpoint: `t${t}` })) };

interface Scene {
  readonly server: TestServer;
  readonly receiver: Receiver;
  readonly url: string;
}

async function scene(t: TestContext, answer?: Answer, environment: Environment = {}): Promise<Scene> {
  const receiver = await startReceiver(answer);
  t.after(receiver.close);
  const host = `http://127.0.0.1:${receiver.port}`;
  const server = await testServer({
    EMR_OUTBOUND_HOSTS: host,
    EMR_OUTBOUND_NETWORKS: '127.0.0.1/32',
    EMR_WEBHOOK_SECRET: SECRET,
    EMR_WEBHOOK_WAIT_SECONDS: WAIT_SECONDS,
    EMR_THREADS: '1',
    ...environment,
  });
  t.after(() => server.close());
  await server.upload('base', singleFile(base));
  for (const [i, tensors] of tasks.entries()) await server.upload(`t${i}`, singleFile(tensors));
  return { server, receiver, url: `${host}/in?token=${TOKEN}` };
}

const ask = async ({ server }: Scene, json: Json, status = 202) =>
  (await server.expect(status, 'POST', '/v1/merges', { json })) as unknown as MergeView;
const view = async ({ server }: Scene, id: string) =>
  (await server.expect(200, 'GET', `/v1/merges/${id}`)) as unknown as MergeView;

/** The only webhook of a merge, once it is settled. */
async function settled(scene: Scene, id: string) {
  const webhook = await until('the webhook is settled', async () => {
    const { webhooks } = await view(scene, id);
    assert.equal(webhooks?.length, 1);
    return webhooks?.[0]?.state === 'pending' ? undefined : webhooks?.[0];
  });
  await until('nothing is marked any more', async () => (await marks(scene)).length === 0);
  return webhook;
}

const marks = async ({ server }: Scene) =>
  (await server.stored()).filter((file) => file.startsWith('default/webhooks/'));
const bodyOf = (call: ReceivedCall | undefined) =>
  JSON.parse(call!.body) as { type: string; timestamp: string; data: Json };

test('a receiver is told of a merge that succeeded, and can check who tells it', async (t) => {
  const at = await scene(t);
  const { id } = await ask(at, { ...MERGE, name: 'told', webhook: { url: at.url } });
  const webhook = await settled(at, id);
  assert.equal(at.receiver.calls.length, 1);
  const [call] = at.receiver.calls;
  const { result } = await view(at, id);
  assert.deepEqual(bodyOf(call), {
    type: 'merge.succeeded',
    timestamp: result!.finished_at,
    data: {
      namespace: 'default',
      id,
      name: 'told',
      state: 'succeeded',
      links: { self: `/v1/merges/${id}`, report: `/v1/merges/${id}/report`, files: `/v1/merges/${id}/files` },
    },
  });
  const { data } = bodyOf(call);
  for (const link of Object.values(data.links as Record<string, string>)) await at.server.expect(200, 'GET', link);

  const { method, path, headers, body } = call!;
  assert.deepEqual([method, path, headers['content-type']], ['POST', `/in?token=${TOKEN}`, 'application/json']);
  assert.ok(isGenuine(SECRET, headers, body));
  assert.ok(!isGenuine(OLD_SECRET, headers, body), 'another secret');
  assert.ok(!isGenuine(SECRET, headers, body.replace('succeeded', 'failed')), 'another body');
  assert.ok(!isGenuine(SECRET, { ...headers, 'webhook-id': 'msg_other' }, body), 'another id');
  const later = String(Number(headers['webhook-timestamp']) + 1);
  assert.ok(!isGenuine(SECRET, { ...headers, 'webhook-timestamp': later }, body), 'another time');
  assert.ok(!isGenuine(SECRET, headers, body, Date.now() + 600_000), 'sent again later');
  assert.ok(!isGenuine(SECRET, {}, body), 'no signature');

  const { last_attempt_at: _at, ...rest } = webhook;
  const host = `127.0.0.1:${at.receiver.port}`;
  assert.deepEqual(rest, { host, state: 'delivered', delivery: headers['webhook-id'], attempts: 1, last_status: 204 });
});

test('neither the secret nor the token of a URL is shown by the API', async (t) => {
  const at = await scene(t, (_call, response) => void response.writeHead(500).end());
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  await until('it was tried', () => at.receiver.calls.length > 0);
  for (const path of [`/v1/merges/${id}`, '/v1/merges', `/v1/merges/${id}/report`, '/metrics']) {
    const text = await (await at.server.call('GET', path)).text();
    for (const secret of [TOKEN, SECRET, SECRET.slice(6)]) assert.ok(!text.includes(secret), path);
  }
  const events = await (await at.server.call('GET', `/v1/merges/${id}/events`)).text();
  assert.ok(events.includes('"host"') && !events.includes(TOKEN));
  assert.ok(
    at.receiver.calls.every(({ body, headers }) => !(body + JSON.stringify(headers)).includes(SECRET.slice(6))),
  );
});

test('a receiver that fails twice and then accepts is told by three attempts with one id', async (t) => {
  const answers: Answer[] = [
    (_call, response) => void response.writeHead(503).end(),
    (_call, response) => void response.destroy(),
  ];
  const at = await scene(t, (call, response) =>
    (answers.shift() ?? ((_c, r) => void r.writeHead(200).end()))(call, response),
  );
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  const webhook = await settled(at, id);
  assert.deepEqual([webhook.state, webhook.attempts, webhook.last_status], ['delivered', 3, 200]);
  const { calls } = at.receiver;
  assert.equal(calls.length, 3);
  assert.deepEqual(new Set(calls.map(({ headers }) => headers['webhook-id'])), new Set([webhook.delivery]));
  assert.equal(new Set(calls.map(({ body }) => body)).size, 1);
  for (const { headers, body } of calls) assert.ok(isGenuine(SECRET, headers, body), 'each is signed for its own time');
});

test('a receiver that never accepts is tried as often as configured, and then never again', async (t) => {
  const at = await scene(t, (_call, response) => void response.writeHead(500).end(), { EMR_WEBHOOK_ATTEMPTS: '3' });
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  const webhook = await settled(at, id);
  assert.deepEqual([webhook.state, webhook.attempts, webhook.last_status], ['failed', 3, 500]);
  assert.equal(webhook.next_attempt_at, undefined);
  await at.server.restart();
  await ask(at, { ...MERGE, webhook: { url: at.url } }, 200);
  assert.equal((await settled(at, id)).attempts, 3);
  assert.equal(at.receiver.calls.length, 3);
});

test('a redirect is not followed, and who is gone is not asked again', async (t) => {
  const inner = await startReceiver();
  t.after(inner.close);
  const statuses = [307, 410];
  const at = await scene(t, (_call, response) => {
    response.writeHead(statuses.shift() ?? 200, { location: `http://127.0.0.1:${inner.port}/` }).end();
  });
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  const webhook = await settled(at, id);
  assert.deepEqual([webhook.state, webhook.attempts, webhook.last_status], ['failed', 2, 410]);
  assert.equal(inner.connections(), 0);
});

test('a merge that fails is told of with its code, and again when it is run again', async (t) => {
  const at = await scene(t);
  await at.server.upload('broken', singleFile([randomTensor('w', [8], 1)]));
  const data = new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => (i === 3 ? Number.NaN : i)).buffer);
  await at.server.upload('nan', singleFile([{ name: 'w', dtype: 'F32', shape: [8], data }]));
  const request = { base: 'broken', tasks: [{ name: 't', checkpoint: 'nan' }] };
  const { id } = await ask(at, { ...request, webhook: { url: at.url } });
  const first = await settled(at, id);
  assert.deepEqual(bodyOf(at.receiver.calls[0]), {
    type: 'merge.failed',
    timestamp: bodyOf(at.receiver.calls[0]).timestamp,
    data: {
      namespace: 'default',
      id,
      state: 'failed',
      error: { code: 'non_finite_weight' },
      links: { self: `/v1/merges/${id}` },
    },
  });
  await ask(at, request); // without the webhook: it is the merge's by now
  await until('its second end is told', () => at.receiver.calls.length === 2);
  const second = await settled(at, id);
  assert.notEqual(second.delivery, first.delivery);
  assert.notEqual(bodyOf(at.receiver.calls[1]).timestamp, bodyOf(at.receiver.calls[0]).timestamp);
});

test('merges that are cancelled while they run or wait are told of', async (t) => {
  const at = await scene(t);
  const elements = 4_000_000;
  await at.server.upload('large-base', singleFile([randomTensor('w', [elements], 1)]));
  await at.server.upload('large', singleFile([randomTensor('w', [elements], 2)]));
  const large = {
    base: 'large-base',
    tasks: Array.from({ length: 24 }, (_, i) => ({ name: `t${i}`, checkpoint: 'large' })),
  };
  const running = await ask(at, { ...large, engine: 'scalar', webhook: { url: at.url } });
  await until('it runs', async () => ((await view(at, running.id)).progress?.bytes_done ?? 0) > 0);
  const waiting = await ask(at, { ...MERGE, webhook: { url: at.url } });
  assert.deepEqual((await view(at, waiting.id)).webhooks, [
    { host: `127.0.0.1:${at.receiver.port}`, state: 'pending', attempts: 0 },
  ]);
  for (const [i, { id }] of [waiting, running].entries()) {
    await at.server.expect(200, 'POST', `/v1/merges/${id}/cancel`);
    await until('it is told of', () => at.receiver.calls.length === i + 1);
  }
  for (const { id } of [waiting, running]) assert.equal((await settled(at, id)).state, 'delivered');
  const told = at.receiver.calls.map((call) => [bodyOf(call).type, bodyOf(call).data.id]);
  assert.deepEqual(
    told,
    [waiting, running].map(({ id }) => ['merge.cancelled', id]),
  );
});

test('what may not be called is refused before anything is accepted', async (t) => {
  const at = await scene(t);
  const refuse = (code: 'outbound_not_allowed' | 'invalid_request', status: number, url: string) =>
    at.server.refuse(code, status, 'POST', '/v1/merges', { json: { ...MERGE, webhook: { url } } });
  await refuse('outbound_not_allowed', 403, 'https://example.org/');
  await refuse('outbound_not_allowed', 403, `http://127.0.0.1:${at.receiver.port + 1}/`);
  await refuse('outbound_not_allowed', 403, `https://127.0.0.1:${at.receiver.port}/`);
  await refuse('outbound_not_allowed', 403, 'http://169.254.169.254/latest/meta-data');
  await refuse('invalid_request', 400, at.url.replace('//', '//user:password@'));
  await refuse('invalid_request', 400, 'no url');
  await refuse('invalid_request', 400, `${at.url}${'a'.repeat(3000)}`);
  const batch = { merges: [MERGE], webhook: { url: 'https://example.org/' } };
  await at.server.refuse('outbound_not_allowed', 403, 'POST', '/v1/batches', { json: batch });
  assert.deepEqual((await at.server.expect(200, 'GET', '/v1/merges')).items, []);
});

test('an address that is listed and not allowed fails at once, and says no more than that', async (t) => {
  const at = await scene(t, undefined, { EMR_OUTBOUND_NETWORKS: '' });
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  const webhook = await settled(at, id);
  assert.deepEqual([webhook.state, webhook.attempts, webhook.last_error], ['failed', 1, 'outbound_not_allowed']);
  assert.equal(at.receiver.connections(), 0);
});

test('without a secret there are no webhooks', async (t) => {
  const at = await scene(t, undefined, { EMR_WEBHOOK_SECRET: '' });
  const json = { ...MERGE, webhook: { url: at.url } };
  await at.server.refuse('webhooks_disabled', 422, 'POST', '/v1/merges', { json });
});

test('while secrets change, either checks', async (t) => {
  const at = await scene(t, undefined, { EMR_WEBHOOK_SECRET: `${SECRET},${OLD_SECRET}` });
  const { id } = await ask(at, { ...MERGE, webhook: { url: at.url } });
  await settled(at, id);
  const [call] = at.receiver.calls;
  for (const secret of [SECRET, OLD_SECRET]) assert.ok(isGenuine(secret, call!.headers, call!.body));
});

test('every receiver of a merge is told, one that asks after its end at once; there is a limit', async (t) => {
  const at = await scene(t);
  const to = (path: string) => ({ ...MERGE, webhook: { url: at.url.replace('/in', path) } });
  const { id } = await ask(at, to('/0'));
  await settled(at, id);
  for (let i = 1; i < 8; i++) await ask(at, to(`/${i}`), 200);
  await ask(at, to('/7'), 200);
  await at.server.refuse('too_many_webhooks', 409, 'POST', '/v1/merges', { json: { ...to('/8'), name: 'refused' } });
  await at.server.refuse('unknown_merge', 404, 'GET', '/v1/merges/refused');
  await until('all are told', async () => (await view(at, id)).webhooks!.every(({ state }) => state === 'delivered'));
  const paths = at.receiver.calls.map(({ path }) => path.split('?')[0]);
  assert.deepEqual(
    paths.toSorted(),
    Array.from({ length: 8 }, (_, i) => `/${i}`),
  );
});

test("a batch's webhook is told of each merge, and a merge that is deleted takes its own with it", async (t) => {
  const at = await scene(t, (_call, response) => void response.writeHead(500).end(), {
    EMR_WEBHOOK_WAIT_SECONDS: '600',
  });
  const grid = { methods: [{ type: 'average' }, { type: 'task_arithmetic', lambda: [0.1, 0.2] }] };
  const json = { template: MERGE, grid, webhook: { url: at.url } };
  const batch = (await at.server.expect(202, 'POST', '/v1/batches', { json })) as unknown as { merges: MergeView[] };
  await until('each is tried', () => at.receiver.calls.length === 3);
  const told = at.receiver.calls.map((call) => bodyOf(call).data.id as string);
  assert.deepEqual(told.toSorted(), batch.merges.map(({ id }) => id).toSorted());
  for (const { id } of batch.merges) await at.server.expect(204, 'DELETE', `/v1/merges/${id}`);
  await at.server.restart();
  await until('marks are gone with the merges', async () => (await marks(at)).length === 0);
  assert.equal(at.receiver.calls.length, 3);
});

test('what is due later is due later after a restart too, and is told then', async (t) => {
  let status = 500;
  const late = await scene(t, (_call, response) => void response.writeHead(status).end(), {
    EMR_WEBHOOK_WAIT_SECONDS: '600',
  });
  const { id } = await ask(late, { ...MERGE, webhook: { url: late.url } });
  const pending = await until('it was tried', async () => {
    const webhook = (await view(late, id)).webhooks![0]!;
    return webhook.attempts === 1 ? webhook : undefined;
  });
  const wait = Date.parse(pending.next_attempt_at!) - Date.parse(pending.last_attempt_at!);
  assert.ok(wait >= 600_000 && wait < 660_000, `${wait}`);
  await late.server.restart();
  assert.deepEqual((await view(late, id)).webhooks, [pending]);
  assert.equal(late.receiver.calls.length, 1);

  const soon = await scene(t, (_call, response) => void response.writeHead(status).end(), {
    EMR_WEBHOOK_WAIT_SECONDS: '0.4',
  });
  const second = await ask(soon, { ...MERGE, webhook: { url: soon.url } });
  await until('it was tried', () => soon.receiver.calls.length > 0);
  status = 200;
  await soon.server.restart();
  const told = await settled(soon, second.id);
  assert.equal(told.state, 'delivered');
  assert.equal(new Set(soon.receiver.calls.map(({ headers }) => headers['webhook-id'])).size, 1);
});
