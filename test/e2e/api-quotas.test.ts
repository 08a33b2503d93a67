import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { apiKeysIn, bearer } from '../helpers/api-keys.js';
import { family, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, openRequest, write } from '../helpers/raw-http.js';
import { filesBelow, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());
const apiKeys = await apiKeysIn(server.dataDir);

type Headers = Record<string, string>;
const put = (headers: Headers, name: string, bytes: number) =>
  server.call('PUT', `/v1/checkpoints/${name}/files/config.json`, { headers, body: 'x'.repeat(bytes) });
const codeOf = async (response: Response) => ((await response.json()) as { code?: string }).code;

test('a key fills its namespace up to its quota, and no other; what is deleted is free again', async () => {
  const limits = { stored_bytes: 10_000 };
  const own = await bearer(apiKeys, { namespace: 'own', limits });
  assert.equal((await put(own, 'a', 6_000)).status, 200);
  const refused = await put(own, 'b', 6_000);
  assert.equal(refused.status, 403);
  assert.equal(await codeOf(refused), 'quota_exceeded');
  assert.deepEqual(await filesBelow(server.dataDir, 'own/checkpoints/b'), []);
  assert.equal((await put(await bearer(apiKeys, { namespace: 'elsewhere', limits }), 'b', 6_000)).status, 200);
  await server.expect(204, 'DELETE', '/v1/checkpoints/a', { headers: own });
  assert.equal((await put(own, 'b', 6_000)).status, 200);
});

test('uploads at the same time cannot take the same room', async () => {
  const own = await bearer(apiKeys, { namespace: 'same-time', limits: { stored_bytes: 10_000 } });
  const answers = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => put(own, name, 4_000)));
  const taken = answers.filter(({ status }) => status === 200).length;
  assert.ok(taken <= 2, `${taken}`);
  for (const { status } of answers) assert.ok([200, 403].includes(status), `${status}`);
});

test('with a quota of bytes an upload has to say how long it is', async () => {
  const own = await bearer(apiKeys, { namespace: 'unknown-length', limits: { stored_bytes: 10_000 } });
  const path = `${server.url}/v1/checkpoints/a/files/config.json`;
  const request = openRequest(path, { method: 'PUT', headers: { ...own, 'transfer-encoding': 'chunked' } });
  await write(request, 'x');
  const response = await answer(request);
  assert.equal(response.statusCode, 411);
  assert.match((await bodyOf(response)).toString(), /length_required/);
  request.destroy();
});

test('what a merge would write counts before it is accepted', async () => {
  const headers = await bearer(apiKeys, { namespace: 'merging' });
  const { base, tasks } = family(1);
  for (const [name, tensors] of [
    ['base', base],
    ['ft', tasks[0]!],
  ] as const) {
    const body = new FormData();
    body.append('name', name);
    for (const [file, content] of Object.entries(singleFile(tensors, name))) {
      body.append('file', new Blob([content as Uint8Array<ArrayBuffer>]), file);
    }
    await server.expect(201, 'POST', '/v1/checkpoints', { body, headers });
  }
  const json = { base: 'base', tasks: [{ name: 't', checkpoint: 'ft' }], exclude: ['head.*'] };
  const full = await bearer(apiKeys, { namespace: 'merging', limits: { stored_bytes: 1 } });
  await server.refuse('quota_exceeded', 403, 'POST', '/v1/merges', { json, headers: full });
  await server.refuse('quota_exceeded', 403, 'POST', '/v1/batches', { json: { merges: [json] }, headers: full });
  const one = await bearer(apiKeys, { namespace: 'merging', limits: { running: 1 } });
  const two = { merges: [json, { ...json, method: { type: 'average' } }] };
  // More than the key may ever have: to ask again does not help.
  await server.refuse('too_large', 413, 'POST', '/v1/batches', { json: two, headers: one });
  const evaluated = { merges: [json], evaluate: { t: 'data' } };
  const problem = await server.refuse('too_large', 413, 'POST', '/v1/batches', {
    json: evaluated,
    headers: one,
  });
  assert.equal(problem.asked, 2, 'the jobs that evaluate its merges count');
  assert.deepEqual((await server.expect(200, 'GET', '/v1/merges', { headers })).items, []);
  const plenty = await bearer(apiKeys, { namespace: 'merging', limits: { running: 1, stored_bytes: 10 ** 9 } });
  await server.expect(202, 'POST', '/v1/merges', { json, headers: plenty });
});
