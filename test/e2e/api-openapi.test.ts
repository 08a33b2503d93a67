import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { renderOpenApi } from '../../src/cli/openapi.js';
import { testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const committed = await readFile(new URL('../../../openapi.yaml', import.meta.url), 'utf8');

test('openapi.yaml is what the routes say: npm run openapi writes it', async () => {
  assert.equal(committed, await renderOpenApi());
});

test('the server serves that file', async () => {
  const response = await server.call('GET', '/openapi.yaml');
  assert.match(response.headers.get('content-type') ?? '', /^application\/yaml/);
  assert.equal(await response.text(), committed);
});

test('every route of the design is in it', () => {
  const paths: Record<string, string[]> = {};
  for (const [, path, rest] of committed.matchAll(/^ {2}(\/\S*):\n((?: {4}.*\n| *\n)*)/gm)) {
    paths[path!] = [...rest!.matchAll(/^ {4}(get|put|post|delete|head):/gm)].map(([, method]) => method!).sort();
  }
  const merge = '/v1/merges/{id}';
  const task = `${merge}/tasks/{task}`;
  const expected: Record<string, string[]> = {
    '/healthz': ['get'],
    '/readyz': ['get'],
    '/v1/batches': ['post'],
    '/v1/batches/{id}': ['get'],
    '/v1/batches/{id}/results': ['get'],
    '/v1/checkpoints': ['get', 'post'],
    '/v1/checkpoints/{name}': ['delete', 'get'],
    '/v1/checkpoints/{name}/complete': ['post'],
    '/v1/checkpoints/{name}/verify': ['post'],
    '/v1/checkpoints/{name}/files/{file}': ['put'],
    '/v1/jobs': ['get', 'post'],
    '/v1/jobs/{id}': ['delete', 'get'],
    '/v1/jobs/{id}/cancel': ['post'],
    '/v1/jobs/{id}/events': ['get'],
    '/v1/merges': ['get', 'post'],
    '/v1/merges/plan': ['post'],
    '/v1/methods': ['get'],
    [merge]: ['delete', 'get'],
    [`${merge}/cancel`]: ['post'],
    [`${merge}/evaluations`]: ['get'],
    [`${merge}/events`]: ['get'],
    [`${merge}/files`]: ['get'],
    [`${merge}/files/{*}`]: ['get', 'head'],
    [`${merge}/model.safetensors`]: ['get', 'head'],
    [`${merge}/report`]: ['get'],
    [`${merge}/verify`]: ['post'],
    [`${task}/files`]: ['get'],
    [`${task}/files/{file}`]: ['get', 'head'],
    [`${task}/model.safetensors`]: ['get', 'head'],
  };
  assert.deepEqual(paths, expected);
});

test('it can be read in a browser', async () => {
  const response = await server.call('GET', '/docs/');
  assert.equal(response.status, 200);
  assert.match(await response.text(), /<html/i);
  const spec = await server.expect(200, 'GET', '/docs/json');
  assert.equal(spec.openapi, '3.1.0');
});
