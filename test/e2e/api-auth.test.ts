import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { testServer } from '../helpers/server.js';

const server = await testServer({ EMR_API_KEYS: 'first-key, second-key' });
after(() => server.close());

const routes = [
  ['GET', '/v1/checkpoints'],
  ['POST', '/v1/merges'],
  ['GET', '/v1/merges/x/tasks/y/model.safetensors'],
  ['HEAD', '/v1/merges/x/tasks/y/model.safetensors'],
  ['DELETE', '/v1/checkpoints/x'],
  ['GET', '/v1/nothing'],
] as const;

test('with keys, nothing below /v1 answers without one of them', async () => {
  const wrong = [
    '',
    'first-key',
    'Bearer',
    'Bearer ',
    'Bearer first',
    'Bearer first-key,second-key',
    'Basic first-key',
  ];
  for (const [method, path] of routes) {
    for (const authorization of wrong) {
      const response = await server.call(method, path, { headers: authorization === '' ? {} : { authorization } });
      assert.equal(response.status, 401, `${method} ${path} ${authorization}`);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer');
    }
  }
  await server.refuse('unauthorized', 401, 'GET', '/v1/checkpoints');
});

test('no spelling of the address gets by', async () => {
  for (const path of [
    '//v1/checkpoints',
    '/%76%31/checkpoints',
    '/v1%2Fcheckpoints',
    '/V1/checkpoints',
    '/v1/./checkpoints',
    '/x/../v1/checkpoints',
    '/v1/checkpoints/',
    '/v1//checkpoints',
  ]) {
    const { status } = await server.call('GET', path);
    assert.equal(status, 401, path);
  }
});

test('an upload without a key is refused before it is read', async () => {
  const form = new FormData();
  form.append('name', 'x');
  form.append('file', new Blob(['x']), 'model.safetensors');
  const response = await server.call('POST', '/v1/checkpoints', { body: form });
  assert.equal(response.status, 401);
  assert.deepEqual(await server.stored(), []);
});

test('each key opens every route', async () => {
  for (const authorization of ['Bearer first-key', 'bearer second-key']) {
    await server.expect(200, 'GET', '/v1/checkpoints', { headers: { authorization } });
    await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/x', { headers: { authorization } });
  }
});

test('health and documentation need no key', async () => {
  for (const path of ['/healthz', '/readyz', '/openapi.yaml', '/docs']) {
    assert.equal((await server.call('GET', path)).status, 200, path);
  }
});
