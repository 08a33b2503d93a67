/** Clients that hold a place for an upload and send nothing: they are refused, and others find the place free. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { buildApp } from '../../src/api/app.js';
import { readConfig } from '../../src/config.js';
import { createServices } from '../../src/services.js';
import { randomTensor } from '../helpers/model-files.js';
import { answer, bodyOf, FORM, FORM_END, formStart, openRequest, partHead, write } from '../helpers/raw-http.js';
import { safetensorsFile } from '../helpers/safetensors-file.js';
import { filesBelow, type Json } from '../helpers/server.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const folder = temporaryFolder('emr-stalled-');
const logger = pino({ level: 'silent' });
const services = await createServices(readConfig({ EMR_DATA_DIR: folder, EMR_MAX_UPLOADS: '1' }), logger);
const uploadPace = { windowMs: 200, minBytes: 1_000 };
const app = await buildApp({ services, logger, version: '0', uploadPace });
const url = await app.listen({ host: '127.0.0.1', port: 0 });
after(async () => {
  await app.close();
  await services.close();
});
afterEach(async () => {
  await until('nothing is stored', async () => (await filesBelow(folder)).length === 0);
  await until('the place is free', async () => {
    const { status } = await fetch(`${url}/v1/checkpoints`, { method: 'POST', body: new FormData() });
    return status === 400;
  });
});

const model = safetensorsFile([randomTensor('w', [100], 1)]);

/** Sends this and then nothing; the connection must end after the refusal. */
async function stalls(
  method: string,
  path: string,
  headers: Record<string, string | number>,
  sent: string | Uint8Array,
) {
  const client = openRequest(url + path, { method, headers });
  const closed = once(client, 'close');
  await write(client, sent);
  const response = await answer(client);
  const { code, status, retry } = JSON.parse((await bodyOf(response)).toString()) as Json;
  assert.deepEqual({ code, status, retry }, { code: 'upload_stalled', status: 408, retry: true });
  await closed;
}

test('a file that stops coming is refused', async () => {
  for (const headers of [{ 'content-length': 2_000 }, {}]) {
    await stalls('PUT', '/v1/checkpoints/gone/files/model.safetensors', headers, model);
  }
});

test('a file that comes slowly, but comes, is taken', async () => {
  const path = '/v1/checkpoints/slow/files/model.safetensors';
  const client = openRequest(url + path, { method: 'PUT' });
  for (let sent = 0; sent < 40; sent++) {
    await write(client, Buffer.alloc(uploadPace.minBytes));
    await delay(uploadPace.windowMs / 10);
  }
  client.end();
  const response = await answer(client);
  assert.equal(response.statusCode, 200, (await bodyOf(response)).toString());
  for (const file of await filesBelow(folder)) await rm(join(folder, file));
});

test('a form that stops coming is refused: in its name, amid a file, and between two', async () => {
  const amid = Buffer.concat([Buffer.from(formStart('gone')), model.subarray(0, 100)]);
  const between = Buffer.concat([
    Buffer.from(formStart('gone')),
    model,
    Buffer.from(FORM_END.slice(0, -4)),
    Buffer.of(13),
  ]);
  for (const sent of [partHead('name'), amid, between]) await stalls('POST', '/v1/checkpoints', FORM, sent);
});

test('JSON that stops coming is refused', async () => {
  const headers = { 'content-type': 'application/json', 'content-length': 100 };
  await stalls('POST', '/v1/checkpoints', headers, '{"name":');
});
