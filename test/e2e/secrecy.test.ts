import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { apiKeysIn } from '../helpers/api-keys.js';
import { startApi } from '../helpers/service-process.js';

// Planted: none of these may be in an answer or in a line of the log.
const SECRET = 'planted-secret-of-the-environment';
const SIGNING = Buffer.from('planted secret of the webhooks..').toString('base64');
const dataDir = mkdtempSync(join(tmpdir(), 'planted-path-'));
const apiKeys = await apiKeysIn(dataDir);
const { key, record } = await apiKeys.create({ namespace: 'default', scope: 'admin', limits: {} });
const { key: readKey } = await apiKeys.create({ namespace: 'default', scope: 'read', limits: {} });
const server = await startApi({
  EMR_API_KEYS: SECRET,
  EMR_DATA_DIR: dataDir,
  EMR_FILE_ROOTS: dataDir,
  EMR_WEBHOOK_SECRET: `whsec_${SIGNING}`,
  LOG_LEVEL: 'info',
});
after(async () => {
  await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});
const planted = [
  SECRET,
  SIGNING,
  key.slice('emr_'.length + record.id.length + 1),
  record.secret.hash,
  record.secret.salt,
  'planted-path',
  process.cwd(),
];

const answers: string[] = [];
async function call(method: string, path: string, init: RequestInit = {}, authorization = `Bearer ${SECRET}`) {
  const response = await fetch(server.url + path, { method, ...init, headers: { authorization, ...init.headers } });
  const text = await response.text();
  answers.push(`${JSON.stringify([...response.headers])}\n${text}`);
  return { status: response.status, text };
}
const json = (body: unknown) => ({ body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
const form = (name: string, file: string, content: string) => {
  const body = new FormData();
  body.append('name', name);
  body.append('file', new Blob([content]), file);
  return { body };
};

test('whatever is asked and fails, no answer and no log has a path, a stack or a secret', async () => {
  await call('PUT', '/v1/checkpoints/put/files/model.safetensors', { body: 'x'.repeat(100) });
  await call('POST', '/v1/checkpoints/put/complete');
  await call('POST', '/v1/checkpoints', form('pickle', 'model.safetensors', '\x80\x02}'));
  for (const uri of [`file://${dataDir}/nothing`, `file://${dataDir}`, 'file:///etc', 'store:inbox', 'ftp://x']) {
    await call('POST', '/v1/checkpoints', json({ name: 'r', source: { uri } }));
  }
  await call('POST', '/v1/merges', json({ base: 'none', tasks: [{ name: 't', checkpoint: 'none' }] }));
  await call('POST', '/v1/merges', { body: '{', headers: { 'content-type': 'application/json' } });
  await call('GET', '/v1/merges', {}, `Bearer ${key}`);
  await call('DELETE', '/v1/merges/none', {}, `Bearer ${readKey}`);
  await call('GET', '/v1/merges', {}, `Bearer ${key}x`);
  await call('GET', `/v1/merges?key=${key}`);
  await call('GET', `/v1/merges?key=${SECRET}`);
  await call('GET', `/v1/merges?key=whsec_${SIGNING}`);
  for (const path of [
    '/metrics',
    '/openapi.yaml',
    '/docs/json',
    '/readyz',
    '/v1/none',
    '/%zz',
    '/v1/merges/x/files/..%2f',
  ]) {
    await call('GET', path);
  }
  // A store that fails: what it says has paths in it.
  const names = join(dataDir, 'default', 'merge-names');
  mkdirSync(names, { recursive: true });
  symlinkSync('some-name.json', join(names, 'some-name.json')); // to itself
  const broken = await call('GET', '/v1/merges/some-name');
  assert.ok(broken.status >= 500, broken.text);

  const inAnswers = answers.join('\n');
  for (const text of planted) {
    // What a client sent in its request may come back to it.
    const shown = inAnswers.split('\n').filter((line) => line.includes(text) && !line.includes('"uri"'));
    assert.deepEqual(shown, [], text);
    assert.deepEqual(
      server.lines.filter((line) => line.includes(text)),
      [],
      text,
    );
  }
  for (const text of [...answers, ...server.lines]) assert.doesNotMatch(text, /\bat .*\.js:\d|node:internal/);
  assert.ok(
    server.lines.some((line) => line.includes('"level":50')),
    'the failure is in the log',
  );
});

test('every request that would write leaves a line that says who, what and how it ended', async () => {
  const lines = server.lines.filter((line) => line.includes('"audit":{')).map((line) => JSON.parse(line).audit);
  const of = (action: string) => lines.filter((line) => line.action === action);
  assert.deepEqual(of('PUT /v1/checkpoints/:name/files/:file'), [
    {
      key: 'environment-1',
      namespace: 'default',
      action: 'PUT /v1/checkpoints/:name/files/:file',
      object: { name: 'put', file: 'model.safetensors' },
      status: 200,
    },
  ]);
  assert.deepEqual(of('DELETE /v1/merges/:id'), [
    {
      key: readKey.slice(4, 20),
      namespace: 'default',
      action: 'DELETE /v1/merges/:id',
      object: { id: 'none' },
      status: 403,
      code: 'forbidden',
    },
  ]);
  assert.ok(of('POST /v1/merges').some(({ code }) => code === 'unknown_checkpoint'));
  assert.deepEqual(
    lines.filter(({ action }) => action.startsWith('GET')),
    [],
  );
});
