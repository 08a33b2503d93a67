import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { family, randomTensor, sharded, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, FORM, FORM_END, formStart, openRequest, partHead, write } from '../helpers/raw-http.js';
import { rawSafetensors, safetensorsFile } from '../helpers/safetensors-file.js';
import { type Json, problemOf, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const model = safetensorsFile([randomTensor('w', [5, 3], 1)]);

test('a form of several files is a checkpoint, with the size and SHA-256 of each', async () => {
  const { base } = family();
  const files = { ...singleFile(base), 'tokenizer.json': '{}', 'notes (1).txt': '' };
  const response = await server.upload('several', files);
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('location'), '/v1/checkpoints/several');
  const created = (await response.json()) as Json;
  assert.deepEqual(
    created.files,
    Object.entries(files)
      .map(([name, content]) => ({ name, bytes: Buffer.byteLength(content), sha256: sha256(content) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
  assert.equal(created.tensors, base.length);
  assert.equal(created.parameters, 53 + 37 * 53 + 16 * 33 + 129 + 1 + 0 + 4 + 1 + 50);
  assert.deepEqual(await server.expect(200, 'GET', '/v1/checkpoints/several'), created);
});

test('a sharded checkpoint is taken with its index', async () => {
  const created = (await (await server.upload('shards', sharded(family().base, 3))).json()) as Json;
  assert.equal(created.tensors, family().base.length);
  assert.equal((created.files as Json[]).length, 5);
});

test('a file larger than any buffer arrives whole, in pieces of any size', async () => {
  const bytes = 65 * 2 ** 20;
  const header = JSON.stringify({ w: { dtype: 'U8', shape: [bytes], data_offsets: [0, bytes] } });
  const hash = createHash('sha256').update(rawSafetensors(header));
  const upload = openRequest(`${server.url}/v1/checkpoints`, { method: 'POST', headers: FORM });
  await write(upload, formStart('large'));
  await write(upload, rawSafetensors(header));
  const piece = Buffer.alloc(999_983);
  for (let left = bytes; left > 0; left -= piece.byteLength) {
    const part = piece.fill(left % 251).subarray(0, left);
    hash.update(part);
    await write(upload, Buffer.from(part));
  }
  upload.end(FORM_END);
  const response = await answer(upload);
  const created = JSON.parse((await bodyOf(response)).toString()) as { files: Json[] };
  assert.equal(response.statusCode, 201);
  assert.deepEqual(created.files, [
    { name: 'model.safetensors', bytes: bytes + rawSafetensors(header).byteLength, sha256: hash.digest('hex') },
  ]);
});

test('files are put one by one, again if need be, and completed', async () => {
  const put = (file: string, body: Uint8Array | string) =>
    server.expect(200, 'PUT', `/v1/checkpoints/put/files/${file}`, { body });
  await put('config.json', '{"version": 1}');
  await put('model.safetensors', safetensorsFile([randomTensor('old', [9], 2)]));
  assert.deepEqual(await put('model.safetensors', model), {
    file: 'model.safetensors',
    bytes: model.byteLength,
    sha256: sha256(model),
  });
  await put('config.json', '{"version": 2}');
  await server.refuse('unknown_checkpoint', 404, 'GET', '/v1/checkpoints/put');
  const created = await server.expect(201, 'POST', '/v1/checkpoints/put/complete');
  assert.deepEqual(
    (created.files as Json[]).map((file) => file.sha256),
    [sha256('{"version": 2}'), sha256(model)],
  );
  await server.refuse('name_taken', 409, 'POST', '/v1/checkpoints/put/complete');
  await server.refuse('name_taken', 409, 'PUT', '/v1/checkpoints/put/files/model.safetensors', { body: model });
});

test('a put file with JSON or form as its content type is stored as it is', async () => {
  for (const type of [
    'application/json',
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/octet-stream',
  ]) {
    const stored = await server.expect(200, 'PUT', '/v1/checkpoints/types/files/model.safetensors', {
      body: model,
      headers: { 'content-type': type },
    });
    assert.equal(stored.sha256, sha256(model), type);
  }
});

test('nothing to complete is an unknown checkpoint', async () => {
  await server.refuse('unknown_checkpoint', 404, 'POST', '/v1/checkpoints/never-put/complete');
});

test('a name belongs to its first checkpoint', async () => {
  assert.equal((await server.upload('taken', { 'model.safetensors': model })).status, 201);
  const before = await server.stored();
  const second = await server.upload('taken', singleFile([randomTensor('other', [4], 3)]));
  const problem = await problemOf(second, 'name_taken', 409, server.dataDir);
  assert.equal(problem.checkpoint, 'taken');
  assert.deepEqual(await server.stored(), before);
});

test('a deleted name can be used again, and its files are gone', async () => {
  await server.upload('passing', { 'model.safetensors': model });
  await server.expect(204, 'DELETE', '/v1/checkpoints/passing');
  await server.refuse('unknown_checkpoint', 404, 'GET', '/v1/checkpoints/passing');
  await server.refuse('unknown_checkpoint', 404, 'DELETE', '/v1/checkpoints/passing');
  assert.deepEqual(
    (await server.stored()).filter((file) => file.includes('passing')),
    [],
  );
  assert.equal((await server.upload('passing', singleFile([randomTensor('w', [2], 4)]))).status, 201);
});

test('the list is in order of name, page by page', async () => {
  const all: string[] = [];
  let cursor = '';
  do {
    const page = await server.expect(200, 'GET', `/v1/checkpoints?limit=2${cursor}`);
    const items = page.items as Json[];
    assert.ok(items.length <= 2);
    all.push(...items.map((item) => item.name as string));
    cursor = page.next_cursor === undefined ? '' : `&cursor=${page.next_cursor}`;
  } while (cursor !== '');
  assert.deepEqual(all, [...all].sort());
  for (const name of ['several', 'shards', 'put', 'taken']) assert.ok(all.includes(name), name);
  assert.ok(!all.includes('types'), 'an upload that is not complete is no checkpoint');
});

test('the name comes first, and nothing but files after it', async () => {
  const send = async (form: string) =>
    server.refuse('invalid_request', 400, 'POST', '/v1/checkpoints', { body: form + FORM_END, headers: FORM });
  const before = await server.stored();
  await send(`${partHead('file', 'model.safetensors')}x${partHead('name')}late`);
  await send(`${partHead('title')}x`);
  await send(`${formStart('twice')}${partHead('file', 'model.safetensors')}`);
  assert.deepEqual(await server.stored(), before);
});

test('a form without a file is an empty checkpoint', async () => {
  await problemOf(await server.upload('empty', {}), 'checkpoint_empty', 422, server.dataDir);
  await problemOf(await server.upload('empty', { 'config.json': '{}' }), 'checkpoint_empty', 422, server.dataDir);
});
