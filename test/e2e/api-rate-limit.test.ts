import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { apiKeysIn, bearer } from '../helpers/api-keys.js';
import { testServer } from '../helpers/server.js';

const server = await testServer({ EMR_API_KEYS: 'of-the-environment', EMR_REQUESTS_PER_MINUTE: '4' });
after(() => server.close());
const apiKeys = await apiKeysIn(server.dataDir);

const ask = (headers: Record<string, string>, path = '/v1/merges') => server.call('GET', path, { headers });

test('a key that has sent its share is told when to come again, and others are not held up', async () => {
  const limits = { requests_per_minute: 2 };
  const [own, other] = [await bearer(apiKeys, { limits }), await bearer(apiKeys, { limits })];
  for (const left of ['1', '0']) {
    const { status, headers } = await ask(own);
    assert.equal(status, 200);
    assert.equal(headers.get('ratelimit-limit'), '2');
    assert.equal(headers.get('ratelimit-remaining'), left);
    const reset = Number(headers.get('ratelimit-reset'));
    assert.ok(reset > 0 && reset <= 60, `${reset}`);
  }
  const response = await ask(own, '/v1/checkpoints/none');
  const wait = Number(response.headers.get('retry-after'));
  assert.ok(wait > 0 && wait <= 60, `${wait}`);
  assert.equal(response.headers.get('ratelimit-remaining'), '0');
  const problem = (await response.json()) as Record<string, unknown>;
  assert.deepEqual([response.status, problem.code, problem.retry, problem.limit], [429, 'rate_limited', true, 2]);
  assert.equal((await ask(other)).status, 200);
});

test('what no limit of its own has gets the limit of the server', async () => {
  const own = { authorization: 'Bearer of-the-environment' };
  for (let i = 0; i < 4; i++) assert.equal((await ask(own)).headers.get('ratelimit-limit'), '4');
  await server.refuse('rate_limited', 429, 'GET', '/v1/merges', { headers: own });
});

test('open routes are not counted, and refused keys use up nobody', async () => {
  const limits = { requests_per_minute: 1 };
  const own = await bearer(apiKeys, { limits });
  const almost = { authorization: `${own.authorization!.slice(0, -1)}!` };
  for (let i = 0; i < 3; i++) {
    assert.equal((await ask(almost)).status, 401);
    const health = await ask(own, '/healthz');
    assert.equal(health.status, 200);
    assert.equal(health.headers.get('ratelimit-limit'), null);
  }
  assert.equal((await ask(own)).status, 200);
});
