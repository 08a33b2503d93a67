import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { family, sharded, singleFile } from '../helpers/model-files.js';
import { type Json, testServer } from '../helpers/server.js';
import { torchZip } from '../helpers/zip.js';

const outside = await realpath(await mkdtemp(join(tmpdir(), 'emr-outside-')));
const root = join(outside, 'root');
const { base, tasks } = family(1);

async function folder(path: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  await mkdir(path, { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
}

await folder(join(root, 'models/base'), singleFile(base));
await folder(join(root, 'models/task'), sharded(tasks[0]!));
await folder(join(root, 'models/task/checkpoint-500'), singleFile(base));
await folder(join(outside, 'secret'), singleFile(base));
await symlink(join(outside, 'secret'), join(root, 'way-out'));
await symlink(join(root, 'models/base'), join(outside, 'way-in'));
await folder(join(root, 'links'), {});
await symlink(join(outside, 'secret/model.safetensors'), join(root, 'links/model.safetensors'));

const server = await testServer({ EMR_FILE_ROOTS: `${join(outside, 'nowhere')},${root}` });
after(async () => {
  await server.close();
  await rm(outside, { recursive: true, force: true });
});

const register = (name: string, uri: string) => ({ json: { name, source: { uri } } });

test('a folder below a root is registered and read in place', async () => {
  const before = await server.stored();
  const uri = `file://${root}/models/base`;
  const created = await server.expect(201, 'POST', '/v1/checkpoints', register('base', uri));
  assert.equal(created.source, uri);
  assert.equal(created.tensors, base.length);
  const stored = (await server.stored()).filter((file) => !before.includes(file));
  assert.deepEqual(stored, ['default/checkpoints/base/checkpoint.json'], 'only the record is written');
});

test('its digest is that of the same files uploaded', async () => {
  const uploaded = (await (await server.upload('uploaded', singleFile(base))).json()) as Json;
  const registered = await server.expect(200, 'GET', '/v1/checkpoints/base');
  assert.equal(registered.digest, uploaded.digest);
  assert.deepEqual(registered.files, uploaded.files);
});

test('only the files of the folder itself are taken', async () => {
  const created = await server.expect(201, 'POST', '/v1/checkpoints', register('task', `file://${root}/models/task`));
  assert.deepEqual(
    (created.files as Json[]).map((file) => file.name),
    Object.keys(sharded(tasks[0]!)).sort(),
  );
});

test('a link that leads into a root is followed, one that leads out is refused', async () => {
  await server.expect(201, 'POST', '/v1/checkpoints', register('linked', `file://${outside}/way-in`));
  const out = [`${root}/way-out`, `${outside}/secret`, `${root}/../secret`, `${root}/%2e%2e/secret`, outside, '/'];
  for (const path of [...out, `${outside}/does-not-exist`, `${root}/does-not-exist`]) {
    await server.refuse('source_not_allowed', 403, 'POST', '/v1/checkpoints', register('out', `file://${path}`));
  }
});

test('a file that is a link out of the root is not read', async () => {
  const response = await server.call('POST', '/v1/checkpoints', register('links', `file://${root}/links`));
  const { code } = (await response.json()) as Json;
  assert.ok(['source_not_found', 'source_not_allowed', 'not_found'].includes(String(code)), String(code));
  await server.refuse('unknown_checkpoint', 404, 'GET', '/v1/checkpoints/links');
});

test('a folder of the store is registered, but none that the service keeps', async () => {
  await folder(join(server.dataDir, 'default/imports/base'), singleFile(base));
  for (const [name, uri] of [
    ['stored', 'store:imports/base'],
    ['stored-too', 'store:imports/base/'],
  ] as const) {
    const created = await server.expect(201, 'POST', '/v1/checkpoints', register(name, uri));
    assert.equal(created.tensors, base.length);
  }
  for (const uri of [
    'store:',
    'store:/',
    'store:checkpoints/base',
    'store:merges',
    'store:merge-names',
    'store:batches',
    'store:jobs',
  ]) {
    await server.refuse('source_not_allowed', 403, 'POST', '/v1/checkpoints', register('kept', uri));
  }
  for (const uri of ['store:../other', 'store:imports/../checkpoints', 'store:./checkpoints', 'store:imports//base']) {
    await server.refuse('invalid_name', 400, 'POST', '/v1/checkpoints', register('kept', uri));
  }
  await server.refuse('source_not_found', 404, 'POST', '/v1/checkpoints', register('kept', 'store:nothing/here'));
  await server.expect(204, 'DELETE', '/v1/checkpoints/stored');
  assert.ok((await server.stored()).includes('default/imports/base/model.safetensors'), 'its files are left alone');
});

test('of the folder of a training run the pickles stay where they are, and the answer says so', async () => {
  const run = {
    ...singleFile(base),
    'tokenizer.json': '{}',
    'optimizer.pt': torchZip(),
    'scheduler.pt': torchZip(),
    'training_args.bin': torchZip(),
    'rng_state.pth': Buffer.from('\x80\x02}q\x00.', 'latin1'),
    'logs.tar.gz': gzipSync('log'),
    'trainer_state.json': '{}',
  };
  await folder(join(root, 'run'), run);
  const uri = `file://${root}/run`;
  const created = await server.expect(201, 'POST', '/v1/checkpoints', register('run', uri));
  const kept = ['config.json', 'model.safetensors', 'tokenizer.json', 'trainer_state.json'];
  assert.deepEqual(
    (created.files as Json[]).map(({ name }) => name),
    kept,
  );
  const pickles = ['optimizer.pt', 'rng_state.pth', 'scheduler.pt', 'training_args.bin'];
  assert.deepEqual(created.left_out, [
    { name: 'logs.tar.gz', reason: 'archive' },
    ...pickles.map((name) => ({ name, reason: 'pickle' })),
  ]);
  assert.deepEqual(await server.expect(200, 'GET', '/v1/checkpoints/run'), created);
  const merge = await server.merge({ base: 'base', tasks: [{ name: 't', checkpoint: 'run' }] });
  assert.equal(merge.state, 'succeeded', JSON.stringify(merge.error));
  const { files } = await server.expect(200, 'GET', `/v1/merges/${merge.id}/tasks/t/files`);
  assert.deepEqual(
    (files as Json[]).map(({ path }) => path),
    kept,
  );
});

test('a folder of pickles, or of one by another name, is no checkpoint', async () => {
  await folder(join(root, 'torch'), { 'config.json': '{}', 'pytorch_model.bin': torchZip() });
  const only = register('torch', `file://${root}/torch`);
  const { detail } = await server.refuse('checkpoint_empty', 422, 'POST', '/v1/checkpoints', only);
  assert.match(String(detail), /pytorch_model\.bin.*save_file/s);
  for (const name of ['tokenizer.json', 'model.safetensors']) {
    const path = join(root, `disguised-${name}`);
    await folder(path, { ...singleFile(base), [name]: torchZip() });
    const problem = await server.refuse(
      'pickle_refused',
      422,
      'POST',
      '/v1/checkpoints',
      register('x', `file://${path}`),
    );
    assert.equal(problem.file, name);
  }
});

test('other sources and other fields are refused', async () => {
  for (const uri of ['https://example.org/x', 'file://host/x', 'file:relative', 'hf://org/repo@main', 'x']) {
    await server.refuse('source_unsupported', 400, 'POST', '/v1/checkpoints', register('other', uri));
  }
  const bodies = [
    {},
    { name: 'x' },
    { name: 'x', source: 'store:x' },
    { name: 'a/b', source: { uri: 'store:x' } },
    { name: 'x', source: { uri: '' } },
    { name: 'x', source: { uri: 'store:x' }, force: true },
    { name: 'x', source: { uri: 'store:x', region: 'eu' } },
    [],
    null,
  ];
  for (const json of bodies) await server.refuse('invalid_request', 400, 'POST', '/v1/checkpoints', { json });
  await server.refuse('invalid_request', 400, 'POST', '/v1/checkpoints', {
    body: '{"name"',
    headers: { 'content-type': 'application/json' },
  });
});

test('a file that changed since is not merged', async () => {
  await folder(join(root, 'changing'), singleFile(base));
  await server.expect(201, 'POST', '/v1/checkpoints', register('changing', `file://${root}/changing`));
  await folder(join(root, 'changing'), singleFile(family(1, 7).base));
  const merge = await server.merge({ base: 'base', tasks: [{ name: 't', checkpoint: 'changing' }] });
  assert.equal(merge.state, 'failed');
  assert.equal(merge.error!.code, 'source_changed');
});

test('without roots no folder is allowed', async () => {
  const closed = await testServer();
  try {
    const uri = `file://${root}/models/base`;
    await closed.refuse('source_not_allowed', 403, 'POST', '/v1/checkpoints', register('base', uri));
  } finally {
    await closed.close();
  }
});
