import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { readRoot } from '../helpers/documents.js';
import { family, singleFile } from '../helpers/model-files.js';
import { type Json, problemOf, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

test('an unknown address is a problem, whatever the method', async () => {
  for (const path of ['/', '/v1', '/v1/nothing', '/v2/merges', '/v1/merges/x/y/z', '/v1/checkpoints/a/b']) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']) {
      await server.refuse('not_found', 404, method, path);
    }
  }
  const { detail } = await server.refuse('not_found', 404, 'GET', '/v1/nothing?key=secret');
  assert.ok(!(detail as string).includes('secret'), 'the query is not repeated');
});

test('a method that an address does not answer to is a problem', async () => {
  for (const [method, path] of [
    ['PUT', '/v1/merges'],
    ['POST', '/v1/merges/x/report'],
    ['PATCH', '/v1/checkpoints/x'],
    ['DELETE', '/healthz'],
  ] as const) {
    await server.refuse('method_not_allowed', 405, method, path);
  }
});

test('a body that is no JSON, or too much of it, is a problem', async () => {
  const post = (body: string, type = 'application/json') => ({ body, headers: { 'content-type': type } });
  for (const body of ['{', '', 'null', '[]', '"text"', '{"__proto__": {"base": "x"}}']) {
    await server.refuse('invalid_request', 400, 'POST', '/v1/merges', post(body));
  }
  const large = JSON.stringify({ base: 'x'.repeat(5 * 2 ** 20) });
  await server.refuse('too_large', 413, 'POST', '/v1/merges', post(large));
  for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x']) {
    const response = await server.call('POST', '/v1/merges', post('{}', type));
    const { code, status } = (await response.json()) as Json;
    assert.ok(code === 'unsupported_media_type' || code === 'invalid_request', `${type}: ${code}`);
    assert.equal(response.status, status);
  }
});

test('a refusal names what is wrong in the request', async () => {
  const json = { base: 'a b', tasks: [{ name: 'x', checkpoint: 7 }], extra: 1 };
  const problem = await server.refuse('invalid_request', 400, 'POST', '/v1/merges', { json });
  const paths = (problem.issues as { path: string }[]).map((issue) => issue.path);
  assert.deepEqual(paths.sort(), ['', 'base', 'tasks.0.checkpoint']);
});

test('a path that cannot be decoded is a problem', async () => {
  for (const path of ['/v1/merges/%', '/v1/merges/%zz', '/v1/checkpoints/%ff']) {
    const response = await server.call('GET', path);
    assert.equal(response.status, 400);
    await problemOf(response, 'invalid_request', 400, server.dataDir);
  }
});

test('what is no HTTP ends with an answer, and the server goes on', async () => {
  const { port } = new URL(server.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.end('this is no HTTP\r\n\r\n');
  let text = '';
  for await (const part of socket) text += String(part);
  assert.match(text, /^HTTP\/1\.1 400 /);
  await server.expect(200, 'GET', '/healthz');
});

test('a record that was damaged is an error of the server without a path', async () => {
  await server.upload('base', singleFile(family(1).base));
  await writeFile(`${server.dataDir}/default/checkpoints/base/checkpoint.json`, '{"name": "base"');
  await server.refuse('artifact_corrupt', 500, 'GET', '/v1/checkpoints/base');
});

test('a store that cannot be used is not ready', async () => {
  const broken = await testServer();
  after(() => broken.close());
  await broken.expect(200, 'GET', '/readyz');
  await rm(broken.dataDir, { recursive: true });
  await writeFile(broken.dataDir, 'a file where the folder was');
  const response = await broken.call('GET', '/readyz');
  assert.equal(response.headers.get('retry-after'), '5');
  await problemOf(response, 'not_ready', 503, broken.dataDir);
  await broken.expect(200, 'GET', '/healthz');
});

test('every figure that docs/operations.md watches is there', async () => {
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/some-name');
  const text = await (await server.call('GET', '/metrics')).text();
  const [, section] = /^## Monitoring$(.*?)^## /ms.exec(readRoot('docs/operations.md'))!;
  const watched = [...section!.matchAll(/`((?:emr|nodejs|process)_[a-z0-9_]+)/g)].map(([, name]) => name!);
  assert.ok(watched.length > 4);
  for (const name of watched) assert.match(text, new RegExp(`^${name}\\b`, 'm'));
});

test('metrics count requests by route, never by address', async () => {
  await server.refuse('unknown_merge', 404, 'GET', '/v1/merges/some-name');
  const text = await (await server.call('GET', '/metrics')).text();
  assert.match(text, /emr_http_request_seconds_count\{method="GET",route="\/v1\/merges\/:id",status="404"\} [1-9]/);
  assert.match(text, /emr_queue_merges\{state="active"\} 0/);
  assert.ok(!text.includes('some-name'));
});

test('a refusal names what is wrong in a request that has several forms', async () => {
  const tasks = [{ name: 'x', checkpoint: 'ft' }];
  const template = { base: 'base', tasks };
  const grid = { methods: [{ type: 'emr' }] };
  const merge = (method: Json) => ({ base: 'base', tasks, method });
  const evaluate = (model: unknown) => ({ type: 'evaluate', model, dataset: 'data' });
  const cases: [path: string, json: Json, issue: string, message: RegExp][] = [
    ['batches', { template, grid: { methods: [{ type: 'tiess' }] } }, 'grid.methods.0.type', /"ties"/],
    ['batches', { merges: [merge({ type: 'tiess' })] }, 'merges.0.method.type', /'ties'/],
    ['batches', { merges: [merge({ type: 'ties', density: 2 })] }, 'merges.0.method.density', /<=1/],
    ['batches', { template: { tasks }, grid }, 'template.base', /string/],
    ['batches', { template: { base: 'base', task: tasks }, grid }, 'template.tasks', /array/],
    ['batches', { template }, 'grid', /object/],
    ['batches', { template, grid, merges: [merge({ type: 'emr' })] }, '', /merges/],
    ['batches', {}, 'merges', /array/],
    ['jobs', evaluate({ merge: 'm' }), 'model.task', /string/],
    ['jobs', evaluate({ merge: 'm', task: 't', steps: 'masked' }), 'model.steps', /"mask"/],
    ['jobs', evaluate({ checkpoint: 7 }), 'model.checkpoint', /string/],
    ['merges', merge({ type: 'adamerging', coefficients: { x: { w: 'a' } } }), 'method.coefficients.x.w', /number/],
  ];
  for (const [resource, json, path, message] of cases) {
    const { detail, issues } = await server.refuse('invalid_request', 400, 'POST', `/v1/${resource}`, { json });
    const [first] = issues as { path: string; message: string }[];
    assert.equal(first!.path, path, JSON.stringify(issues));
    assert.match(first!.message, message);
    assert.equal(detail, `body${path && `.${path}`}: ${first!.message}`);
  }
});
