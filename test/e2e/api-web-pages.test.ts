/** What pages of others can let a browser send to a server without keys: a name of theirs as Host, and forms. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { family, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, FORM, FORM_END, formStart, openRequest } from '../helpers/raw-http.js';
import { type Json, type TestServer, testServer } from '../helpers/server.js';

const open = await testServer();
const closed = await testServer({ EMR_API_KEYS: 'key' });
after(() => Promise.all([open.close(), closed.close()]));
const port = (server: TestServer) => new URL(server.url).port;

/** fetch sends neither header as it is told. */
async function ask(server: TestServer, path: string, headers: Record<string, string>, body?: string | Uint8Array) {
  const sent = openRequest(server.url + path, { method: body === undefined ? 'GET' : 'POST', headers });
  sent.end(body);
  const response = await answer(sent);
  const text = (await bodyOf(response)).toString();
  return { status: response.statusCode!, headers: response.headers, text };
}

const FOREIGN_HOSTS = ['evil.test', '127.0.0.1.evil.test', 'localhost.evil.test', '192.168.1.2', '[::2]', 'x y', '@'];

test('a name that is not of this machine is refused', async () => {
  for (const name of FOREIGN_HOSTS) {
    for (const host of [name, `${name}:${port(open)}`]) {
      const { status, headers, text } = await ask(open, '/v1/merges', { host });
      assert.equal(status, 403, host);
      assert.equal((JSON.parse(text) as Json).code, 'forbidden');
      assert.equal(headers['www-authenticate'], undefined);
    }
  }
});

test('names and addresses of this machine are answered, and pages that it serves itself', async () => {
  for (const name of ['127.0.0.1', 'localhost', 'LOCALHOST', '[::1]', 'emr.localhost', '127.1']) {
    const host = `${name}:${port(open)}`;
    assert.equal((await ask(open, '/v1/merges', { host })).status, 200, host);
    assert.equal((await ask(open, '/v1/merges', { host, origin: `http://${host}` })).status, 200, host);
  }
});

test('a form that a page of others sends is refused, and nothing of it is stored', async () => {
  const files = singleFile(family(1).base);
  const weights = files['model.safetensors']!;
  const form = Buffer.concat([Buffer.from(formStart('theirs')), Buffer.from(weights), Buffer.from(FORM_END)]);
  const host = `127.0.0.1:${port(open)}`;
  for (const origin of [
    'http://evil.test',
    'null',
    'http://127.0.0.1:1',
    'http://localhost',
    `http://${host}.evil.test`,
  ]) {
    const { status, text } = await ask(open, '/v1/checkpoints', { ...FORM, host, origin }, form);
    assert.equal(status, 403, origin);
    assert.equal((JSON.parse(text) as Json).code, 'forbidden');
  }
  assert.deepEqual(await open.stored(), []);
  assert.equal((await ask(open, '/v1/checkpoints', { ...FORM, host, origin: `http://${host}` }, form)).status, 201);
});

test('with a key any name will do, and open routes answer to all', async () => {
  const foreign = { host: 'emr.example', origin: 'http://evil.test' };
  assert.equal((await ask(closed, '/v1/merges', { ...foreign, authorization: 'Bearer key' })).status, 200);
  assert.equal((await ask(closed, '/v1/merges', foreign)).status, 401);
  for (const server of [open, closed]) assert.equal((await ask(server, '/healthz', foreign)).status, 200);
});
