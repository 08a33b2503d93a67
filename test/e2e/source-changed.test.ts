/** A source that is another one now is never read as if it were the old one: by merges, surveys, downloads or jobs. */
import assert from 'node:assert/strict';
import { mkdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { openStore } from '../../src/store/open.js';
import { digitsFolder, type Folder } from '../helpers/digits.js';
import { runJob } from '../helpers/jobs.js';
import { s3Server } from '../helpers/s3-server.js';
import { f32, safetensorsFile } from '../helpers/safetensors-file.js';
import { type Json, type TestServer, testServer } from '../helpers/server.js';
import { chunks } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';

const WEIGHTS = 'model.safetensors';
const inputs = { base: await digitsFolder('base'), tuned: await digitsFolder('mnist') };
const images: Folder = {
  'data.safetensors': safetensorsFile([
    f32('x', new Array(196).fill(0.5), [1, 196]),
    { name: 'y', dtype: 'U8', shape: [1], data: Uint8Array.of(3) },
  ]),
};
const request = (type: string, base = 'base'): Json => ({
  base,
  tasks: [{ name: 't', checkpoint: 'tuned' }],
  method: { type },
  exclude: ['head.*'],
});
const evaluate = (checkpoint: string): Json => ({ type: 'evaluate', model: { checkpoint }, dataset: 'images' });

/** Every way to read the base, each of which must say that it changed. */
async function everyReaderNotices(server: TestServer, done: string): Promise<void> {
  // Of these EMR reads once; TIES surveys all weights before it merges; Average has no passes of its own.
  for (const type of ['emr', 'ties', 'average']) {
    const { state, error } = await server.merge({
      ...request(type),
      strict: true,
      exclude: ['head.*', `${type}.none`],
    });
    assert.deepEqual([state, error?.code], ['failed', 'source_changed'], type);
  }
  const { error } = await runJob(server, evaluate('base'), 'failed');
  assert.equal(error!.code, 'source_changed');
  // Its head has left by then: what is left is to break off, so that nobody takes it for whole.
  await assert.rejects(async () => {
    const response = await server.call('GET', `/v1/merges/${done}/tasks/t/model.safetensors`);
    assert.equal(response.status, 200);
    await response.arrayBuffer();
  });
  const found = await server.expect(200, 'POST', '/v1/checkpoints/base/verify');
  assert.equal(found.ok, false);
}

async function prepare(server: TestServer, add: (name: string, folder: Folder) => Promise<void>): Promise<string> {
  await add('base', inputs.base);
  await add('tuned', inputs.tuned);
  await add('images', images);
  const { id, state } = await server.merge(request('emr'));
  assert.equal(state, 'succeeded');
  return id;
}

const folderOnDisk = async (folder: string, files: Folder) => {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
};

test('registered below a root: written again with the same bytes, only later', async () => {
  const root = temporaryFolder('emr-changed-');
  const server = await testServer({ EMR_FILE_ROOTS: root });
  try {
    const done = await prepare(server, async (name, files) => {
      await folderOnDisk(join(root, name), files);
      const json = { name, source: { uri: `file://${join(root, name)}` } };
      await server.expect(201, 'POST', '/v1/checkpoints', { json });
    });
    const path = join(root, 'base', WEIGHTS);
    const { atime, mtime } = await stat(path);
    await utimes(path, atime, new Date(mtime.getTime() + 1000));
    await everyReaderNotices(server, done);
  } finally {
    await server.close();
  }
});

test('uploaded: its file has lost its end, or is gone', async () => {
  const server = await testServer();
  try {
    const done = await prepare(server, async (name, files) => {
      assert.equal((await server.upload(name, files)).status, 201);
    });
    const key = (await server.stored()).find((file) => file.includes('/base/u/') && file.endsWith(WEIGHTS))!;
    const path = join(server.dataDir, key);
    await truncate(path, (await stat(path)).size - 4);
    await everyReaderNotices(server, done);
    await rm(path);
    assert.equal((await server.merge({ ...request('dare') })).error?.code, 'source_changed');
    assert.ok(dirname(path).includes('/u/'));
  } finally {
    await server.close();
  }
});

const s3 = await s3Server();
after(async () => {
  if (!('skip' in s3)) await s3.stop();
});

test('registered in a bucket: another object of the same size', 'skip' in s3 ? { skip: s3.skip } : {}, async () => {
  assert.ok(!('skip' in s3));
  const bucket = await s3.createBucket();
  const config = { kind: 's3', bucket: bucket.name, prefix: 'emr', endpoint: s3.endpoint } as const;
  const store = await openStore(config);
  const server = await testServer({ EMR_STORE: `s3://${bucket.name}/emr`, S3_ENDPOINT: s3.endpoint });
  try {
    const done = await prepare(server, async (name, files) => {
      for (const [file, bytes] of Object.entries(files)) {
        await store.put(`default/inbox/${name}/${file}`, chunks(bytes, 2 ** 20));
      }
      await server.expect(201, 'POST', '/v1/checkpoints', { json: { name, source: { uri: `store:inbox/${name}` } } });
    });
    const other = Buffer.from(inputs.base[WEIGHTS]!);
    other[other.byteLength - 1]! ^= 1;
    await store.put(`default/inbox/base/${WEIGHTS}`, chunks(other, 2 ** 20));
    await everyReaderNotices(server, done);
  } finally {
    await server.close();
    await store.close();
    await bucket.remove();
  }
});
