import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { buildApp } from '../../src/api/app.js';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { createServices } from '../../src/services.js';
import { apiKeysIn, bearer } from '../helpers/api-keys.js';
import { family, singleFile } from '../helpers/model-files.js';
import { testServer } from '../helpers/server.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());
const apiKeys = await apiKeysIn(server.dataDir);

test('a server that runs takes new keys and drops revoked ones', async () => {
  await server.expect(200, 'GET', '/v1/merges');
  const { record, key } = await apiKeys.create({ namespace: 'default', scope: 'read', limits: {} });
  const headers = { authorization: `Bearer ${key}` };
  const status = async (init = {}) => (await server.call('GET', '/v1/merges', init)).status;
  assert.equal(await status({ headers }), 200);
  await until('a key is wanted, now that there is one', async () => (await status()) === 401);
  await apiKeys.revoke(record.id);
  await until('the key is refused', async () => (await status({ headers })) === 401);
});

test('two namespaces have checkpoints and merges of the same names, and neither sees the other', async () => {
  const [a, b] = await Promise.all(['a', 'b'].map((namespace) => bearer(apiKeys, { namespace })));
  const { base, tasks } = family(1);
  const request = { name: 'm', base: 'base', tasks: [{ name: 't', checkpoint: 'ft' }], exclude: ['head.*'] };
  const upload = async (headers: Record<string, string>, name: string, tensors: typeof base) => {
    const body = new FormData();
    body.append('name', name);
    for (const [file, content] of Object.entries(singleFile(tensors, name))) {
      body.append('file', new Blob([content as Uint8Array<ArrayBuffer>]), file);
    }
    await server.expect(201, 'POST', '/v1/checkpoints', { body, headers });
  };
  const merges = [];
  for (const headers of [a!, b!]) {
    await upload(headers, 'base', base);
    await upload(headers, 'ft', tasks[0]!);
    const { id } = await server.expect(202, 'POST', '/v1/merges', { json: request, headers });
    await (await server.call('GET', `/v1/merges/${id}/events`, { headers })).text();
    assert.equal((await server.expect(200, 'GET', '/v1/merges/m', { headers })).state, 'succeeded');
    merges.push(id);
  }
  assert.equal(merges[0], merges[1], 'the same request on the same checkpoints has one id');
  await server.expect(204, 'DELETE', '/v1/merges/m', { headers: a! });
  await server.refuse('unknown_merge', 404, 'GET', `/v1/merges/${merges[0]}`, { headers: a! });
  const kept = await server.call('GET', '/v1/merges/m/tasks/t/model.safetensors', { headers: b! });
  assert.equal(kept.status, 200);
  assert.ok((await kept.arrayBuffer()).byteLength > 0);
});

test('folders of the server take a key of the scope admin, those of the namespace do not', async () => {
  const write = await bearer(apiKeys, { scope: 'write' });
  const source = (uri: string) => ({ json: { name: 'in-place', source: { uri } }, headers: write });
  await server.refuse('forbidden', 403, 'POST', '/v1/checkpoints', source('file:///models'));
  await server.refuse('source_not_found', 404, 'POST', '/v1/checkpoints', source('store:inbox'));
  for (const folder of ['merges/x', 'jobs', '../_keys', '../b/checkpoints']) {
    const response = await server.call('POST', '/v1/checkpoints', source(`store:${folder}`));
    assert.ok([400, 403].includes(response.status), folder);
  }
});

test('without keys a server listens to its own machine only; a stored key is enough', async () => {
  const config = readConfig({
    PORT: '0',
    HOST: '0.0.0.0',
    EMR_DATA_DIR: temporaryFolder('emr-bind-'),
    LOG_LEVEL: 'silent',
  });
  await assert.rejects(startServer(config), /emr keys create.*EMR_API_KEYS/);
  assert.equal(config.store.kind, 'file');
  await bearer(await apiKeysIn(config.store.kind === 'file' ? config.store.root : ''));
  const running = await startServer(config);
  const { port } = new URL(running.url);
  assert.equal((await fetch(`http://127.0.0.1:${port}/v1/merges`)).status, 401);
  await running.close();
});

test('a server with a route that does not say which scope it needs does not start', async () => {
  const logger = pino({ level: 'silent' });
  const services = await createServices(readConfig({ EMR_DATA_DIR: temporaryFolder('emr-route-') }), logger);
  const app = await buildApp({ services, logger, version: '0' });
  app.get('/v1/forgotten', async () => ({}));
  await assert.rejects(async () => app.ready(), /scope.*GET \/v1\/forgotten/);
  await app.close();
  await services.close();
});
