/** Bytes that change at rest: found by a merge, and by whoever asks. */
import assert from 'node:assert/strict';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { family, sharded, singleFile } from '../helpers/model-files.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const { base, tasks } = family(2);
await server.upload('base', singleFile(base));
for (const [t, tensors] of tasks.entries()) await server.upload(`task${t}`, sharded(tensors));
const request = (name: string, method: Json = { type: 'emr' }) => ({
  name,
  base: 'base',
  tasks: tasks.map((_, t) => ({ name: `t${t}`, checkpoint: `task${t}` })),
  method,
});
const { id } = await server.merge(request('first'));

interface Found {
  readonly files: readonly { path: string; state: string; code?: string; found?: { bytes: number } }[];
  readonly ok: boolean;
  readonly bad: number;
}
const verify = async (what: string) => (await server.expect(200, 'POST', `/v1/${what}/verify`)) as unknown as Found;

async function storedFile(folder: string, name = 'model.safetensors'): Promise<string> {
  const found = (await server.stored()).filter((file) => file.includes(folder) && file.endsWith(`/${name}`));
  assert.equal(found.length, 1, found.join());
  return join(server.dataDir, found[0]!);
}

/** Turns one bit, leaves everything else as it is, and puts it back when `use` has ended. */
async function withWrongBit(path: string, use: () => Promise<void>): Promise<void> {
  const whole = await readFile(path);
  const wrong = Buffer.from(whole);
  wrong[wrong.byteLength - 1]! ^= 1;
  await writeFile(path, wrong);
  try {
    await use();
  } finally {
    await writeFile(path, whole);
  }
}

test('files that are as they were written are ok, each with its record', async () => {
  const checkpoint = await verify('checkpoints/task0');
  const { files } = await server.expect(200, 'GET', '/v1/checkpoints/task0');
  assert.deepEqual(
    checkpoint.files,
    (files as Json[]).map(({ name: path, ...rest }) => ({ path, ...rest, state: 'ok' })),
  );
  const merge = await verify('merges/first');
  const artifacts = await server.expect(200, 'GET', `/v1/merges/${id}/files`);
  assert.deepEqual(
    merge.files,
    (artifacts.files as Json[]).map((file) => ({ ...file, state: 'ok' })),
  );
  assert.ok(checkpoint.ok && merge.ok && merge.bad === 0);
});

test('a wrong bit, a missing end and a missing file are found in an artifact', async () => {
  const path = await storedFile(`merges/${id}/a/`, 'unified.safetensors');
  const whole = await readFile(path);
  const stateOf = async () => {
    const { ok, bad, files } = await verify(`merges/${id}`);
    assert.deepEqual({ ok, bad }, { ok: false, bad: 1 });
    return files.find((file) => file.path === 'unified.safetensors')!;
  };
  await withWrongBit(path, async () => assert.equal((await stateOf()).state, 'differs'));
  await truncate(path, whole.byteLength - 1);
  assert.deepEqual((await stateOf()).found?.bytes, whole.byteLength - 1);
  await rm(path);
  assert.equal((await stateOf()).state, 'missing');
  await writeFile(path, whole);
  assert.ok((await verify(`merges/${id}`)).ok);
});

test('the same in a checkpoint that was uploaded', async () => {
  const weights = async () => {
    const { files } = await verify('checkpoints/base');
    return files.find((file) => file.path === 'model.safetensors')!;
  };
  const path = await storedFile('checkpoints/base/u/');
  const whole = await readFile(path);
  await withWrongBit(path, async () => assert.equal((await weights()).state, 'differs'));
  await truncate(path, whole.byteLength - 1);
  const { state, code } = await weights();
  assert.deepEqual([state, code], ['differs', 'source_changed']);
  await rm(path);
  assert.equal((await weights()).state, 'missing');
  await writeFile(path, whole);
  assert.ok((await verify('checkpoints/base')).ok);
});

test('a merge of a checkpoint with a wrong bit fails and names the file, and succeeds when it is mended', async () => {
  await withWrongBit(await storedFile('checkpoints/base/u/'), async () => {
    const { state, error } = await server.merge(request('second', { type: 'average' }));
    assert.equal(state, 'failed');
    assert.deepEqual(
      [error!.code, error!.checkpoint, error!.file],
      ['checkpoint_corrupt', 'base', 'model.safetensors'],
    );
    assert.deepEqual(
      (await server.stored()).filter((file) => file.includes('/a/') && !file.includes(id)),
      [],
    );
  });
  assert.equal((await server.merge(request('second', { type: 'average' }))).state, 'succeeded');
});

test('verification off merges what is there', async () => {
  const trusting = await testServer({ EMR_VERIFY: 'off' });
  try {
    await trusting.upload('base', singleFile(base));
    await trusting.upload('task0', singleFile(tasks[0]!));
    const [file] = (await trusting.stored()).filter((one) => /checkpoints\/base\/u\/.*model.safetensors$/.test(one));
    await withWrongBit(join(trusting.dataDir, file!), async () => {
      const merge = { base: 'base', tasks: [{ name: 't', checkpoint: 'task0' }] };
      assert.equal((await trusting.merge(merge)).state, 'succeeded');
    });
  } finally {
    await trusting.close();
  }
});

test('what is not there, or has no result, cannot be verified', async () => {
  await server.refuse('unknown_checkpoint', 404, 'POST', '/v1/checkpoints/nobody/verify');
  await server.refuse('unknown_merge', 404, 'POST', '/v1/merges/nobody/verify');
  await server.upload('other', singleFile(family(1, 9).base));
  const path = await storedFile('checkpoints/other/u/');
  await withWrongBit(path, async () => {
    const { state } = await server.merge({ name: 'third', base: 'other', tasks: request('x').tasks });
    assert.equal(state, 'failed');
    await server.refuse('merge_failed', 409, 'POST', '/v1/merges/third/verify');
  });
});
