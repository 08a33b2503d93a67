import assert from 'node:assert/strict';
import { chunks, keys, pattern, readAll, refused, shared } from '../helpers/stores.js';
import type { OpenStore } from './store.js';
import { testWith } from './with-store.js';

const MIB = 1 << 20;
/** More than two parts of a multipart upload, and no whole number of them. */
const LARGE = 17 * MIB + 5;

async function* failing(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield bytes;
  throw error;
}

/** Yields `bytes`, then nothing for ever. */
async function* silent(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
  await new Promise(() => {});
}

export function writingCases(open: OpenStore): void {
  const test = testWith(open);

  test('check passes and leaves nothing', async ({ store, leftovers }) => {
    await store.check();
    await store.check();
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('creates once', async ({ store, leftovers }) => {
    assert.equal(await store.create('a/b', Buffer.from('one')), true);
    assert.equal(await store.create('a/b', Buffer.from('two')), false);
    assert.equal((await store.readSmall('a/b'))?.toString(), 'one');
    assert.equal(await store.create('a/shared', shared(Buffer.from('three'))), true);
    assert.equal((await store.readSmall('a/shared'))?.toString(), 'three');
    assert.deepEqual(await leftovers(), []);
  });

  test('of 20 racing creators exactly one wins, and it is its bytes that are there', async ({ store, leftovers }) => {
    const won = await Promise.all(
      Array.from({ length: 20 }, (_, i) => store.create('race/result.json', Buffer.from(`writer ${i}`))),
    );
    assert.equal(won.filter(Boolean).length, 1);
    assert.equal((await store.readSmall('race/result.json'))?.toString(), `writer ${won.indexOf(true)}`);
    assert.deepEqual(await leftovers(), []);
  });

  for (const bytes of [0, 1, 8 * MIB, LARGE]) {
    test(`openWriter: ${bytes} bytes in uneven writes, seen only at the end`, async ({ store, leftovers }) => {
      const content = pattern(bytes);
      const writer = await store.openWriter('w/object', bytes);
      const scratch = shared(Buffer.alloc(700_001));
      for await (const chunk of chunks(content, scratch.byteLength)) {
        scratch.set(chunk); // the same memory again: a writer must not keep it
        await writer.write(scratch.subarray(0, chunk.byteLength));
      }
      assert.equal(await store.stat('w/object'), undefined);
      assert.deepEqual(await keys(store), []);
      const info = await writer.finish();
      await writer.abort(); // does nothing any more
      assert.equal(info.bytes, bytes);
      assert.equal(info.key, 'w/object');
      const { modified, ...rest } = (await store.stat('w/object')) ?? assert.fail('not there');
      assert.deepEqual(rest, { key: 'w/object', bytes, version: info.version });
      assert.ok(Math.abs(modified.getTime() - info.modified.getTime()) < 600_000);
      assert.ok((await readAll(store, 'w/object')).equals(content));
      assert.deepEqual(await leftovers(), []);
    });
  }

  test('openWriter replaces an object only at finish', async ({ store }) => {
    await store.create('w/object', Buffer.from('old'));
    const writer = await store.openWriter('w/object', 3);
    await writer.write(Buffer.from('new'));
    assert.equal((await store.readSmall('w/object'))?.toString(), 'old');
    await writer.finish();
    assert.equal((await store.readSmall('w/object'))?.toString(), 'new');
  });

  test('openWriter: fewer or more bytes than announced are upload_incomplete', async ({ store, leftovers }) => {
    for (const [announced, given] of [
      [10, 0],
      [10, 9],
      [10, 11],
      [0, 1],
      [LARGE, LARGE - 1],
    ] as const) {
      const error = await refused('upload_incomplete', async () => {
        const writer = await store.openWriter('w/object', announced);
        try {
          for await (const chunk of chunks(Buffer.alloc(given), MIB)) await writer.write(chunk);
          await writer.finish();
        } finally {
          await writer.abort();
        }
      });
      assert.deepEqual([error.facts.announced, error.facts.written], [announced, given]);
    }
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('openWriter: abort leaves nothing, at any time and twice', async ({ store, leftovers }) => {
    for (const given of [0, 100, LARGE]) {
      const writer = await store.openWriter('w/deep/object', LARGE);
      for await (const chunk of chunks(Buffer.alloc(given), 3 * MIB)) await writer.write(chunk);
      await writer.abort();
      await writer.abort();
      await assert.rejects(writer.write(Buffer.from('more')));
      await assert.rejects(writer.finish());
    }
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('openWriter: abort during a write that is not awaited', async ({ store, leftovers }) => {
    const writer = await store.openWriter('w/object', LARGE);
    const writing = writer.write(pattern(LARGE)).catch(() => 'refused');
    await writer.abort();
    await writing;
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('two writers of one key: the last to finish is there, whole', async ({ store, leftovers }) => {
    const [a, b] = [await store.openWriter('w/object', 9 * MIB), await store.openWriter('w/object', 9 * MIB)];
    for (const writer of [a, b]) await writer.write(Buffer.alloc(9 * MIB, writer === a ? 'a' : 'b'));
    await b.finish();
    await a.finish();
    assert.ok((await readAll(store, 'w/object')).equals(Buffer.alloc(9 * MIB, 'a')));
    assert.deepEqual(await leftovers(), []);
  });

  for (const [bytes, size] of [
    [0, 1],
    [1, 1],
    [100_000, 777],
    [LARGE, 64 * 1024],
    [33 * MIB, 20 * MIB],
  ] as const) {
    test(`put: ${bytes} bytes in chunks of ${size}`, async ({ store, leftovers }) => {
      const content = pattern(bytes);
      const info = await store.put('p/object', chunks(content, size));
      assert.equal(info.bytes, bytes);
      assert.equal(info.version, (await store.stat('p/object'))?.version);
      assert.ok((await readAll(store, 'p/object')).equals(content));
      assert.deepEqual(await leftovers(), []);
    });
  }

  test('put: a source that throws leaves the old object and nothing else', async ({ store, leftovers }) => {
    await store.create('p/object', Buffer.from('old'));
    const error = new Error('the client went away');
    for (const bytes of [10, LARGE]) {
      await assert.rejects(store.put('p/object', failing(Buffer.alloc(bytes), error)), error);
      await assert.rejects(store.put('p/new', failing(Buffer.alloc(bytes), error)), error);
    }
    assert.deepEqual(await keys(store), ['p/object']);
    assert.equal((await store.readSmall('p/object'))?.toString(), 'old');
    assert.deepEqual(await leftovers(), []);
  });

  test('put: a signal ends it at once, even while the source is silent', async ({ store, leftovers }) => {
    for (const bytes of [10, LARGE]) {
      const controller = new AbortController();
      const reason = new Error('enough');
      const putting = store.put('p/object', silent(Buffer.alloc(bytes)), { signal: controller.signal });
      setImmediate(() => controller.abort(reason));
      await assert.rejects(putting, reason);
      await assert.rejects(store.put('p/late', chunks(Buffer.alloc(9), 1), { signal: controller.signal }), reason);
    }
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('put: a signal that is never used changes nothing', async ({ store }) => {
    const { signal } = new AbortController();
    assert.equal((await store.put('p/object', chunks(pattern(1000), 10), { signal })).bytes, 1000);
  });
}
