/** What a server does that is asked for more at once than it takes: it says so, and goes on. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { TASKS } from '../../examples/digits/tasks.js';
import { datasetFolder, digitsFolder, digitsTest } from '../helpers/digits.js';
import { randomTensor, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, openRequest, write } from '../helpers/raw-http.js';
import { problemOf, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer({
  EMR_THREADS: '1',
  EMR_MAX_UPLOADS: '1',
  EMR_MAX_RECONSTRUCTIONS: '1',
  EMR_MAX_DOWNLOADS: '1',
  EMR_MAX_WAITING_MERGES: '2',
});
after(() => server.close());

/** More than a socket holds, so that who does not read holds its place. */
const ELEMENTS = 8_000_000;
await server.upload('base', singleFile([randomTensor('w', [ELEMENTS], 1)]));
await server.upload('tuned', singleFile([randomTensor('w', [ELEMENTS], 2)]));
await server.upload('digits', await digitsFolder('mnist'));
await server.upload('data', datasetFolder(await digitsTest(TASKS[0]!, 16)));
const MERGE = { base: 'base', tasks: [{ name: 't', checkpoint: 'tuned' }] };

/** A refusal that says when to come again. */
async function refused(method: string, path: string, options = {}): Promise<void> {
  const response = await server.call(method, path, options);
  assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
  const problem = await problemOf(response, 'overloaded', 503, server.dataDir);
  assert.equal(problem.retry, true);
}

const put = (name: string) => server.call('PUT', `/v1/checkpoints/${name}/files/model.safetensors`, { body: 'x' });

/** Its first bytes have come: it holds its place. */
const isReceived = (name: string) =>
  until('it is being written', async () => (await server.stored()).some((file) => file.includes(`/${name}/`)));

test('an upload more than the server takes is asked to come again, and the others go on', async () => {
  const url = `${server.url}/v1/checkpoints/held/files/model.safetensors`;
  const held = openRequest(url, { method: 'PUT', headers: { 'content-length': 10 } });
  await write(held, '12345');
  await isReceived('held');
  await refused('PUT', '/v1/checkpoints/late/files/model.safetensors', { body: 'x' });
  const form = new FormData();
  form.append('name', 'late');
  await refused('POST', '/v1/checkpoints', { body: form });
  await refused('POST', '/v1/checkpoints', { json: { name: 'late', source: { uri: 'store:late' } } });
  await server.expect(200, 'GET', '/v1/checkpoints');
  held.end('67890');
  const done = await answer(held);
  assert.equal(done.statusCode, 200, (await bodyOf(done)).toString());
  await until('the place is free', async () => (await put('late')).status === 200);
});

test('an upload that breaks off gives its place back', async () => {
  const url = `${server.url}/v1/checkpoints/broken/files/model.safetensors`;
  const held = openRequest(url, { method: 'PUT', headers: { 'content-length': 10 } });
  await write(held, '12345');
  await isReceived('broken');
  assert.equal((await put('other')).status, 503);
  held.destroy();
  await until('the place is free', async () => (await put('other')).status === 200);
});

test('a reconstruction more than the server takes is asked to come again; what is stored is still served', async () => {
  const { id } = await server.merge(MERGE);
  const model = `/v1/merges/${id}/tasks/t/model.safetensors`;
  const opened = openRequest(server.url + model);
  opened.end();
  const held = await answer(opened);
  assert.equal(held.statusCode, 200);
  await refused('GET', model);
  await refused('GET', `/v1/merges/${id}/tasks/t/files/model.safetensors`);
  assert.equal((await server.call('HEAD', model)).status, 200);
  const artifact = await server.call('GET', `/v1/merges/${id}/files/unified.safetensors`, {
    headers: { range: 'bytes=0-9' },
  });
  assert.equal((await artifact.arrayBuffer()).byteLength, 10);
  assert.equal(artifact.status, 206);
  held.destroy();
  await until('the place is free', async () => {
    const response = await server.call('GET', model, { headers: { range: 'bytes=0-9' } });
    await response.arrayBuffer();
    return response.status === 206;
  });
});

test('a reading of stored files more than the server takes is asked to come again', async () => {
  const { id } = await server.merge({ ...MERGE, exclude: ['none'] });
  const artifact = `/v1/merges/${id}/files/unified.safetensors`;
  const opened = openRequest(server.url + artifact);
  opened.end();
  const held = await answer(opened);
  assert.equal(held.statusCode, 200);
  await refused('GET', artifact);
  await refused('GET', `/v1/merges/${id}/report`);
  await refused('POST', `/v1/merges/${id}/verify`);
  await refused('POST', '/v1/checkpoints/base/verify');
  assert.equal((await server.call('HEAD', artifact)).status, 200);
  await server.expect(200, 'GET', `/v1/merges/${id}`);
  held.destroy();
  await until('the place is free', async () => {
    const response = await server.call('GET', artifact, { headers: { range: 'bytes=0-9' } });
    await response.arrayBuffer();
    return response.status === 206;
  });
});

test('merges beyond those that may wait are not accepted until some have run', async () => {
  const slow = (exclude: string) => ({
    ...MERGE,
    tasks: Array.from({ length: 24 }, (_, t) => ({ name: `t${t}`, checkpoint: 'tuned' })),
    engine: 'scalar',
    exclude: [exclude],
  });
  const ask = (exclude: string) => server.expect(202, 'POST', '/v1/merges', { json: slow(exclude) });
  const { id: running } = await ask('a');
  await until('it runs', async () => (await server.expect(200, 'GET', `/v1/merges/${running}`)).state === 'running');
  const { id: waiting } = await ask('b');
  await refused('POST', '/v1/batches', { json: { merges: [slow('c'), slow('d')] } });
  await ask('c');
  await refused('POST', '/v1/merges', { json: slow('d') });
  const evaluation = { type: 'evaluate', model: { checkpoint: 'digits' }, dataset: 'data' };
  await refused('POST', '/v1/jobs', { json: evaluation });
  // What was accepted before takes no room.
  await server.expect(200, 'POST', '/v1/merges', { json: slow('c') });
  await server.expect(202, 'POST', '/v1/batches', { json: { merges: [slow('a'), slow('b')] } });
  await refused('POST', '/v1/batches', { json: { merges: [slow('b'), slow('d')] } });
  const { items } = (await server.expect(200, 'GET', '/v1/merges')) as { items: { state: string }[] };
  assert.deepEqual(
    items.map(({ state }) => state).filter((state) => state !== 'succeeded'),
    ['queued', 'queued', 'running'],
  );
  await server.expect(200, 'POST', `/v1/merges/${waiting}/cancel`);
  await server.expect(202, 'POST', '/v1/jobs', { json: evaluation });
  await refused('POST', '/v1/merges', { json: slow('d') });
  await server.expect(200, 'POST', '/v1/jobs', { json: evaluation });
});
