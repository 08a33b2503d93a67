import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFile,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createFileStore } from '../../../src/store/fs.js';
import { fsError } from '../../../src/store/fs-errors.js';
import { openStore, removeLeftovers } from '../../../src/store/open.js';
import type { Store } from '../../../src/store/types.js';
import { chunks, keys, pages, pattern, readAll, refused } from '../../helpers/stores.js';

let top: string;
let root: string;
let store: Store;

beforeEach(async () => {
  top = await mkdtemp(join(tmpdir(), 'emr-fs-'));
  root = join(top, 'root');
  store = createFileStore({ root });
});
afterEach(() => rm(top, { recursive: true, force: true }));

const BYTES = Buffer.from('bytes');

test('several handles fill a writer by its path; finish makes one object of it', async () => {
  const content = pattern(1_000_003);
  const writer = await store.openWriter('a/object', content.byteLength);
  const path = writer.path ?? assert.fail('no path');
  const fill = async (from: number, to: number) => {
    const handle = await open(path, 'r+');
    await handle.write(content, from, to - from, from);
    await handle.close();
  };
  await Promise.all([fill(700_000, content.byteLength), fill(0, 300_001), fill(300_001, 700_000)]);
  assert.deepEqual(await keys(store), []);
  await writer.finish();
  assert.ok((await readAll(store, 'a/object')).equals(content));
});

test('a file made longer by its path is not the one announced', async () => {
  const writer = await store.openWriter('object', 10);
  await appendFile(writer.path ?? assert.fail('no path'), 'more');
  await refused('upload_incomplete', () => writer.finish());
  assert.deepEqual(await readdir(root), []);
});

test('an object larger than the free space is disk_full at once, and leaves nothing', async () => {
  await refused('disk_full', () => store.openWriter('a/b', 2 ** 52));
  assert.deepEqual(await readdir(root), []);
});

test('an object and a folder cannot have one name', async () => {
  await store.create('a/b', BYTES);
  await refused('invalid_name', () => store.create('a/b/c', BYTES));
  assert.equal(await store.create('a', BYTES), false);
  await refused('invalid_name', () => store.put('a', chunks(BYTES, 9)));
  assert.deepEqual(await keys(store), ['a/b']);
});

test('a file that is changed in place fails its readers', async () => {
  for (const change of [
    (path: string) => appendFile(path, 'x'),
    (path: string) => truncate(path, 2),
    (path: string) => utimes(path, 1, 1), // as a rewrite of the same length does
  ]) {
    await store.put('a', chunks(BYTES, 9));
    const reader = await store.openReader('a');
    await reader.read(Buffer.alloc(5), 0);
    await change(join(root, 'a'));
    await refused('source_changed', () => reader.read(Buffer.alloc(5), 0));
    await refused('source_changed', async () => reader.readSync?.(Buffer.alloc(5), 0));
    await reader.close();
  }
});

test('links are followed within the root, never out of it', async () => {
  await mkdir(join(root, 'blobs'), { recursive: true });
  await mkdir(join(top, 'secret'));
  await writeFile(join(root, 'blobs', 'weights'), BYTES);
  await writeFile(join(top, 'secret', 'key'), 'secret');
  await symlink('blobs/weights', join(root, 'inside'));
  await symlink('../secret/key', join(root, 'outside'));
  await symlink('../secret', join(root, 'folder'));
  await symlink('nowhere', join(root, 'dangling'));

  assert.deepEqual(await readAll(store, 'inside'), BYTES);
  for (const key of ['outside', 'folder/key']) {
    await refused('source_not_allowed', () => store.stat(key));
    await refused('source_not_allowed', () => store.openReader(key));
    await refused('source_not_allowed', () => store.readSmall(key));
  }
  for (const key of ['folder/new', 'folder/deep/new']) {
    await refused('source_not_allowed', () => store.create(key, BYTES));
    await refused('source_not_allowed', () => store.openWriter(key, 1));
    await refused('source_not_allowed', () => store.put(key, chunks(BYTES, 9)));
  }
  await refused('source_not_allowed', () => store.delete('folder/key'));
  await refused('source_not_allowed', () => store.deletePrefix('folder/'));
  assert.deepEqual(await keys(store, 'folder/'), []);
  assert.deepEqual(await keys(store), ['blobs/weights', 'inside']);
  assert.equal(await store.stat('dangling'), undefined);
  assert.deepEqual(await readdir(join(top, 'secret')), ['key']);

  // Writing replaces a link, not what it leads to.
  await store.put('outside', chunks(BYTES, 9));
  assert.deepEqual(await readAll(store, 'outside'), BYTES);
  assert.equal((await stat(join(top, 'secret', 'key'))).size, 6);
});

test('what is no regular file is no object', async () => {
  await mkdir(root);
  assert.equal(spawnSync('mkfifo', [join(root, 'pipe')]).status, 0);
  assert.equal(await store.stat('pipe'), undefined);
  await refused('not_found', () => store.openReader('pipe'));
  assert.deepEqual(await pages(store, '', true), { objects: [], prefixes: [] });
});

test('thousands of small files are read without holding up the event loop', async () => {
  await store.create('fact', BYTES);
  let turns = 0;
  const count = () => {
    turns += 1;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  for (let n = 0; n < 6400; n += 1) await store.readSmall('fact');
  clearImmediate(counting);
  assert.ok(turns >= 90, `${turns} turns`);
});

/** A thread that removes a file and makes it anew, whole, again and again. */
const COMES_AND_GOES = `
  const { renameSync, rmSync, writeFileSync } = require('node:fs');
  const { path, bytes } = require('node:worker_threads').workerData;
  for (;;) {
    writeFileSync(path + '.new', bytes);
    renameSync(path + '.new', path);
    rmSync(path);
  }`;

test('a read-only store reads and refuses the rest', async () => {
  await store.create('a/b', BYTES);
  const readOnly = createFileStore({ root, readOnly: true });
  await readOnly.check();
  assert.deepEqual(await readAll(readOnly, 'a/b'), BYTES);
  assert.deepEqual(await keys(readOnly), ['a/b']);
  for (const write of [
    () => readOnly.create('c', BYTES),
    () => readOnly.openWriter('c', 1),
    () => readOnly.put('c', chunks(BYTES, 9)),
    () => readOnly.delete('a/b'),
    () => readOnly.deletePrefix('a/'),
  ]) {
    await refused('source_not_allowed', write);
  }
  assert.deepEqual(await keys(store), ['a/b']);
});

test('a store whose folder cannot be made is unavailable', async () => {
  await writeFile(join(top, 'file'), '');
  await refused('store_unavailable', () => createFileStore({ root: join(top, 'file', 'root') }).check());
  await refused('store_unavailable', () => createFileStore({ root: join(top, 'none'), readOnly: true }).check());
});

test('leftovers of ended processes and of yesterday are removed, those of living ones are not', async () => {
  await store.create('kept/object', BYTES);
  const mine = await store.openWriter('a/mine', 10);
  const old = await store.openWriter('b/old', 10);
  const path = old.path ?? assert.fail('no path');
  await utimes(path, 1, 1);
  // The same name with the number of a process that has ended.
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  const name = (mine.path ?? '').split('/').pop() ?? '';
  await mkdir(join(root, 'c/d'), { recursive: true });
  await writeFile(join(root, 'c/d', name.replace(`-${process.pid}-`, `-${dead}-`)), 'half');

  assert.equal(await removeLeftovers(store.config), 2);
  assert.deepEqual((await readdir(root)).sort(), ['a', 'kept']);
  await mine.write(Buffer.alloc(10));
  await mine.finish();
  await old.abort();
  assert.equal(await removeLeftovers({ kind: 'file', root: join(top, 'none') }), 0);
});

test('a second name of a file does not disturb its readers', async () => {
  await store.create('a', BYTES);
  const reader = await (await openStore(store.config)).openReader('a');
  await link(join(root, 'a'), join(root, 'b'));
  await reader.read(Buffer.alloc(5), 0);
  await reader.close();
});

test('errors of the file system have codes, and their paths stay in the cause', () => {
  const codes = { ENOSPC: 'disk_full', EDQUOT: 'disk_full', ENOENT: 'not_found', EACCES: 'store_unavailable' };
  for (const [errno, code] of Object.entries(codes)) {
    const cause = Object.assign(new Error(`${errno}: open '/secret/path'`), { code: errno });
    const error = fsError(cause, 'key');
    assert.equal(error.code, code);
    assert.equal(error.cause, cause);
    assert.doesNotMatch(error.message + JSON.stringify(error.facts), /secret/);
  }
});

for (const smallReads of ['here', 'pool'] as const) {
  test(`what cannot be looked at is an error, and not absent, ${smallReads}`, async () => {
    await mkdir(root);
    await symlink('loop', join(root, 'loop'));
    const looking = createFileStore({ root, smallReads });
    await refused('store_unavailable', () => looking.readSmall('loop/fact'));
    await refused('store_unavailable', () => pages(looking, 'loop/', true));
    assert.equal(await looking.readSmall('nothing/fact'), undefined);
  });

  test(`a small file that comes and goes is read whole or is not there, ${smallReads}`, async () => {
    const comings = createFileStore({ root, smallReads });
    await comings.create('fact', BYTES);
    const other = new Worker(COMES_AND_GOES, { eval: true, workerData: { path: join(root, 'fact'), bytes: BYTES } });
    try {
      let found = 0;
      for (let round = 0; found < 100 || round < 1000; round += 1) {
        const bytes = await comings.readSmall('fact');
        if (bytes === undefined) continue;
        found += 1;
        assert.ok(BYTES.equals(bytes));
      }
    } finally {
      await other.terminate();
    }
  });
}
