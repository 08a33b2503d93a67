import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, test } from 'node:test';
import { randomTensor, singleFile } from '../helpers/model-files.js';
import {
  answer,
  bodyOf,
  FORM,
  FORM_END,
  formStart,
  openRequest,
  partHead,
  UNNAMED_FILE,
  write,
} from '../helpers/raw-http.js';
import { rawSafetensors, safetensorsFile } from '../helpers/safetensors-file.js';
import { type Json, problemOf, testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const LIMIT = 300_000;
const server = await testServer({ EMR_MAX_UPLOAD_BYTES: String(LIMIT) });
after(() => server.close());

/** Every test of this file leaves the store as empty as it was. */
afterEach(async () => {
  for (const name of ['kept', 'race']) await server.call('DELETE', `/v1/checkpoints/${name}`);
  await until('nothing is stored', async () => (await server.stored()).length === 0);
});

const model = safetensorsFile([randomTensor('w', [100], 1)]);

test('an upload beyond the limit is too large, in one file or in all', async () => {
  const half = safetensorsFile([randomTensor('w', [40_000], 1)]);
  const whole = safetensorsFile([randomTensor('w', [80_000], 1)]);
  for (const files of [{ 'model.safetensors': whole }, { 'a.safetensors': half, 'b.safetensors': half }]) {
    const problem = await problemOf(await server.upload('kept', files), 'too_large', 413, server.dataDir);
    assert.equal(typeof problem.limit, 'number');
  }
  await server.refuse('too_large', 413, 'PUT', '/v1/checkpoints/kept/files/model.safetensors', { body: whole });
});

test('a file of exactly the limit is taken', async () => {
  const header = JSON.stringify({ w: { dtype: 'U8', shape: [LIMIT - 100], data_offsets: [0, LIMIT - 100] } });
  const file = rawSafetensors(header.padEnd(92), LIMIT - 100);
  assert.equal(file.byteLength, LIMIT);
  assert.equal((await server.upload('kept', { 'model.safetensors': file })).status, 201);
});

test('a client that breaks off a form leaves nothing', async () => {
  const upload = openRequest(`${server.url}/v1/checkpoints`, { method: 'POST', headers: FORM });
  await write(upload, formStart('gone'));
  await write(upload, model);
  await until('a part is stored', async () => (await server.stored()).length > 0);
  upload.destroy();
});

test('a client that breaks off after a whole file leaves nothing', async () => {
  const upload = openRequest(`${server.url}/v1/checkpoints`, { method: 'POST', headers: FORM });
  await write(upload, formStart('gone', 'config.json'));
  await write(upload, '{}');
  await write(upload, formStart('ignored').replace(/^[\s\S]*ignored/, ''));
  await until('a whole file is stored', async () => (await server.stored()).some((key) => key.endsWith('config.json')));
  await write(upload, model.subarray(0, 50));
  upload.destroy();
});

test('a client that breaks off a put leaves nothing', async () => {
  for (const headers of [{ 'content-length': 100_000 }, {}]) {
    const url = `${server.url}/v1/checkpoints/gone/files/model.safetensors`;
    const upload = openRequest(url, { method: 'PUT', headers });
    await write(upload, model);
    await until('a part is stored', async () => (await server.stored()).length > 0);
    upload.destroy();
    await until('nothing is stored', async () => (await server.stored()).length === 0);
  }
});

test('a form that ends in the middle of a part is incomplete', async () => {
  const body = Buffer.concat([Buffer.from(formStart('gone')), model]);
  const response = await server.call('POST', '/v1/checkpoints', { body, headers: FORM });
  const { status, code } = (await response.json()) as Json;
  assert.deepEqual({ status, code }, { status: 400, code: 'upload_incomplete' });
});

test('a pickle is refused at its first bytes, while the rest is still to come', async () => {
  const zip = Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(100)]);
  const old = Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(100)]);
  for (const pickle of [zip, old]) {
    const url = `${server.url}/v1/checkpoints/gone/files/model.safetensors`;
    const upload = openRequest(url, { method: 'PUT', headers: { 'content-length': LIMIT } });
    await write(upload, pickle);
    const response = await answer(upload);
    const problem = JSON.parse((await bodyOf(response)).toString()) as Json;
    upload.destroy();
    assert.equal(problem.code, pickle === old ? 'pickle_refused' : 'archive_refused');
    assert.match(problem.detail as string, /save_file/);
  }
});

test('files other than safetensors may hold anything but pickles and archives', async () => {
  const other = Buffer.from('\x01\x80\x02 PK\x03\x04');
  assert.equal((await server.upload('kept', { 'model.safetensors': model, 'extra.bin': other })).status, 201);
});

test('what the reader finds wrong with a file is the code of the refusal', async () => {
  const entry = (start: number, end: number) => ({ dtype: 'U8', shape: [4], data_offsets: [start, end] });
  const cases = {
    safetensors_too_short: Buffer.alloc(4),
    safetensors_header_not_json: rawSafetensors('{nonsense}'),
    safetensors_span: rawSafetensors(JSON.stringify({ w: entry(0, 3) }), 3),
    safetensors_offsets: rawSafetensors(JSON.stringify({ a: entry(0, 4), b: entry(5, 9) }), 9),
    safetensors_length: rawSafetensors(JSON.stringify({ w: entry(0, 4) }), 5),
    dtype_refused: rawSafetensors(JSON.stringify({ w: { ...entry(0, 4), dtype: 'F8_E4M3' } }), 4),
  } as const;
  for (const [code, file] of Object.entries(cases)) {
    const response = await server.upload('gone', { 'model.safetensors': file });
    await problemOf(response, code as keyof typeof cases, 422, server.dataDir);
  }
  const two = { 'a.safetensors': model, 'b.safetensors': model };
  await problemOf(await server.upload('gone', two), 'checkpoint_ambiguous', 422, server.dataDir);
  const index = { 'model.safetensors.index.json': JSON.stringify({ weight_map: { w: 'nowhere.safetensors' } }) };
  await problemOf(await server.upload('gone', { ...two, ...index }), 'index_shard_missing', 422, server.dataDir);
});

test('a malformed file that was put is refused when the checkpoint is completed, and can be put again', async () => {
  const put = (body: Uint8Array) => server.expect(200, 'PUT', '/v1/checkpoints/kept/files/model.safetensors', { body });
  await put(rawSafetensors('{nonsense}'));
  await server.refuse('safetensors_header_not_json', 422, 'POST', '/v1/checkpoints/kept/complete');
  await put(model);
  await server.expect(201, 'POST', '/v1/checkpoints/kept/complete');
});

test('names of checkpoints and files are plain', async () => {
  for (const name of ['', '.hidden', 'a/b', '../up', 'a b', 'ä', 'x'.repeat(97)]) {
    await problemOf(await server.upload(name, { 'model.safetensors': model }), 'invalid_name', 400, server.dataDir);
  }
  for (const name of ['.hidden', 'a%20b', 'a%2Fb', 'x'.repeat(97)]) {
    await server.refuse('invalid_request', 400, 'PUT', `/v1/checkpoints/${name}/files/f`, { body: model });
  }
  for (const file of ['a%2Fb', '..%2Fb', 'a%5Cb', '%00', '.tmp-x', '%20x', '%C3%A4', 'x'.repeat(201)]) {
    await server.refuse('invalid_name', 400, 'PUT', `/v1/checkpoints/gone/files/${file}`, { body: model });
  }
});

/** A form whose file has this disposition, or whose part has this head, sent as it is. */
function sendAs(disposition: string, head = partHead('file').replace('name="file"', `name="file"; ${disposition}`)) {
  const body = Buffer.concat([Buffer.from(`${partHead('name')}gone${head}`), model, Buffer.from(FORM_END)]);
  return server.call('POST', '/v1/checkpoints', { body, headers: FORM });
}

test('the file name of a part is plain, and no path', async () => {
  const names = ['.tmp-1', '.', '..', '../x.safetensors', '/abs.safetensors', 'a/b.safetensors', './x.safetensors'];
  const windows = ['a\\b.safetensors', '..\\x.safetensors', 'C:\\x.safetensors', 'c:x.safetensors'];
  const encoded = ['%2e%2e%2fx.safetensors', '..%2Fx.safetensors', '%2fx.safetensors', 'x%00.safetensors', 'x\u2215y'];
  for (const name of [...names, ...windows, ...encoded]) {
    await problemOf(await sendAs(`filename="${name}"`), 'invalid_name', 400, server.dataDir);
  }
  // RFC 5987: decoded by the parser, so they are paths like those above.
  for (const name of ['..%2Fx.safetensors', '%2Fabs.safetensors', 'a%5Cb.safetensors', '%2e%2e', 'x%00.safetensors']) {
    await problemOf(await sendAs(`filename*=UTF-8''${name}`), 'invalid_name', 400, server.dataDir);
    const both = await sendAs(`filename="x.safetensors"; filename*=UTF-8''${name}`);
    const { files } = (await both.json()) as { files: Json[] };
    assert.deepEqual(
      files.map((file) => file.name),
      ['x.safetensors'],
    );
    assert.ok((await server.stored()).every((key) => /^default\/checkpoints\/gone\/(checkpoint\.json$|u\/)/.test(key)));
    await server.expect(204, 'DELETE', '/v1/checkpoints/gone');
  }
  await problemOf(await sendAs('filename=""'), 'invalid_name', 400, server.dataDir);
});

test('a part that is a file by its type has to have a name', async () => {
  await problemOf(await sendAs('', UNNAMED_FILE), 'invalid_name', 400, server.dataDir);
});

test('weights are sent as they are', async () => {
  const headers = { 'content-encoding': 'gzip' };
  const put = { body: model, headers };
  await server.refuse('unsupported_media_type', 415, 'PUT', '/v1/checkpoints/gone/files/model.safetensors', put);
  const body = Buffer.concat([Buffer.from(formStart('gone')), model, Buffer.from(FORM_END)]);
  await server.refuse('unsupported_media_type', 415, 'POST', '/v1/checkpoints', {
    body,
    headers: { ...FORM, ...headers },
  });
});

test('a checkpoint is a form or JSON', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
    const options = { body: 'name=x', headers: { 'content-type': type } };
    await server.refuse('unsupported_media_type', 415, 'POST', '/v1/checkpoints', options);
  }
  const options = { body: 'x', headers: { 'content-type': 'multipart/form-data' } };
  await server.refuse('invalid_request', 400, 'POST', '/v1/checkpoints', options);
});

test('of many uploads of one name exactly one is the checkpoint, with its own files', async () => {
  const uploads = Array.from({ length: 20 }, (_, i) => singleFile([randomTensor('w', [1000], i)], `upload ${i}`));
  const responses = await Promise.all(uploads.map((files) => server.upload('race', files)));
  const winners = responses.flatMap((response, i) => (response.status === 201 ? [i] : []));
  assert.equal(winners.length, 1, responses.map((response) => response.status).join(' '));
  for (const [i, response] of responses.entries()) {
    if (i !== winners[0]) await problemOf(response, 'name_taken', 409, server.dataDir);
  }
  const created = await server.expect(200, 'GET', '/v1/checkpoints/race');
  const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  const won = uploads[winners[0]!]!;
  assert.deepEqual(
    (created.files as Json[]).map(({ name, sha256: hash }) => [name, hash]),
    Object.entries(won).map(([name, content]) => [name, sha256(content)]),
  );
  assert.equal((await server.stored()).length, 3, 'the record and two files, and nothing of the others');
});
