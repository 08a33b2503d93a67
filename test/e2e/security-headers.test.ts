import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { chromium } from '../helpers/chromium.js';
import { family, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, openRequest } from '../helpers/raw-http.js';
import { testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
const browser = await chromium();
after(async () => {
  if (!('skip' in browser)) await browser.close();
  await server.close();
});
const { base, tasks } = family(1);
await server.upload('base', singleFile(base, 'base'));
await server.upload('ft', singleFile(tasks[0]!, 'ft'));
await server.merge({ name: 'm', base: 'base', tasks: [{ name: 't', checkpoint: 'ft' }], exclude: ['head.*'] });

const anywhere = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
};

test('every answer has the headers that keep browsers from doing anything with it', async () => {
  const asked: [string, number][] = [
    ['/healthz', 200],
    ['/metrics', 200],
    ['/openapi.yaml', 200],
    ['/docs/', 200],
    ['/v1/merges', 200],
    ['/v1/merges/m/files/report.json', 200],
    ['/v1/merges/m/tasks/t/model.safetensors', 200],
    ['/v1/merges/m/report?format=html', 200],
    ['/v1/merges/m/events', 200],
    ['/v1/merges/none', 404],
    ['/nothing', 404],
    ['/v1/merges?limit=x', 400],
    ['/%zz', 400],
  ];
  for (const [path, status] of asked) {
    const response = await server.call('GET', path);
    await response.arrayBuffer();
    assert.equal(response.status, status, path);
    for (const [name, value] of Object.entries(anywhere)) assert.equal(response.headers.get(name), value, path);
    const policy = response.headers.get('content-security-policy') ?? '';
    assert.match(policy, /default-src 'none'/, path);
    assert.match(policy, /frame-ancestors 'none'/, path);
    if (path.startsWith('/v1')) assert.match(response.headers.get('cache-control') ?? '', /no-store|no-cache/, path);
  }
});

test('so has what is no HTTP', async () => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.end('nonsense\r\n\r\n');
  const answer = await text(socket);
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.match(answer, /x-content-type-options: nosniff/i);
});

test('and what Node would refuse without a word', async () => {
  const sent = openRequest(`${server.url}/v1/merges`, {
    method: 'POST',
    headers: { expect: 'x', 'content-length': 2 },
  });
  sent.end('{}');
  const response = await answer(sent);
  const { code, status } = JSON.parse((await bodyOf(response)).toString());
  const { statusCode, headers } = response;
  assert.deepEqual({ code, status, statusCode }, { code: 'invalid_request', status: 417, statusCode: 417 });
  assert.equal(headers['content-type'], 'application/problem+json');
  for (const [name, value] of Object.entries(anywhere)) assert.equal(headers[name], value);
});

test('the documentation page works under its policy', 'skip' in browser ? { skip: browser.skip } : {}, async () => {
  if ('skip' in browser) return;
  const page = await browser.load(`${server.url}/docs/`, { width: 1000, scheme: 'light' });
  const drawn = () => page.evaluate<number>('document.querySelectorAll(".opblock").length');
  await until('the routes are drawn', async () => (await drawn()) > 20);
  assert.deepEqual(page.complaints, []);
  await page.close();
});
