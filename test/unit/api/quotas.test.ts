import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import Fastify, { type FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { problems } from '../../../src/api/plugins/problems.js';
import { quotas } from '../../../src/api/plugins/quotas.js';
import { requestEnd } from '../../../src/api/plugins/request-end.js';
import { gate } from '../../helpers/queue-handlers.js';
import { openRequest } from '../../helpers/raw-http.js';
import { until } from '../../helpers/until.js';

/** An app with one route that takes a job, for a key that may have so many; the queue has so many of its namespace. */
async function appWith(running: number, queued: number) {
  const app = Fastify({ forceCloseConnections: true });
  after(() => app.close());
  const access = { key: 'k', namespace: 'ns', scope: 'write', limits: { running }, counted: true } as const;
  const auth = async (parent: FastifyInstance) => {
    parent.decorateRequest('access', null as never);
    parent.addHook('onRequest', async (request) => {
      request.access = access;
    });
  };
  const queue = {
    counts: async (namespace?: string) =>
      namespace === 'ns' ? { waiting: queued - 1, active: 1 } : { waiting: 99, active: 99 },
  };
  const submitter = { plan: () => assert.fail('nothing is planned'), requireBatch: async () => {} };
  await app.register(requestEnd);
  await app.register(problems);
  await app.register(fp(auth, { name: 'auth' }));
  await app.register(quotas, { queue, submitter, storedBytes: { of: async () => 0, changed: () => {} } });
  const held = gate();
  const entered = gate();
  app.post('/quick', { config: { takes: 'job' } }, async () => 'ok');
  let gone = false;
  app.post('/slow', { config: { takes: 'job' } }, async (_request, reply) => {
    reply.raw.once('close', () => {
      gone = true;
    });
    entered.open();
    await held.passed;
    return 'ok';
  });
  const post = async (url: string) => app.inject({ method: 'POST', url });
  return { app, post, release: held.open, entered: entered.passed, isGone: () => gone };
}

test('a key has at most so many merges and jobs that have not ended', async () => {
  const full = await appWith(2, 2);
  const { statusCode, headers, body } = await full.post('/quick');
  assert.equal(statusCode, 429);
  assert.ok(Number(headers['retry-after']) > 0);
  const { code, retry, running, limit } = JSON.parse(body);
  assert.deepEqual({ code, retry, running, limit }, { code: 'too_many_running', retry: true, running: 2, limit: 2 });
});

test('what a request takes is set aside until it is answered, and then given back', async () => {
  const { post, release, entered } = await appWith(3, 2);
  for (let i = 0; i < 3; i++) assert.equal((await post('/quick')).statusCode, 200);
  const slow = post('/slow');
  await entered;
  const refusal = JSON.parse((await post('/quick')).body);
  assert.deepEqual([refusal.code, refusal.asked], ['too_many_running', 2], 'both together, and each might come again');
  release();
  assert.equal((await slow).statusCode, 200);
  assert.equal((await post('/quick')).statusCode, 200);
});

test('what a request took whose client went away is given back once, when its route is done', async () => {
  const { app, post, release, entered, isGone } = await appWith(3, 2);
  const client = openRequest(await app.listen({ host: '127.0.0.1', port: 0 }).then((url) => `${url}/slow`), {
    method: 'POST',
  });
  client.end();
  await entered;
  client.destroy();
  await until('the server sees it', isGone);
  assert.equal((await post('/quick')).statusCode, 429); // it may still be put into the queue
  release();
  await until('it is given back', async () => (await post('/quick')).statusCode === 200);
});
