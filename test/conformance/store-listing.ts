import assert from 'node:assert/strict';
import type { EmrError } from '../../src/errors.js';
import { openStore } from '../../src/store/open.js';
import type { Store } from '../../src/store/types.js';
import { keys, pages, refused } from '../helpers/stores.js';
import type { OpenStore } from './store.js';
import { testWith } from './with-store.js';

const MIB = 1 << 20;

// In byte order: '-' and '.' come before '/', and U+FF5E before U+1F9E0, whose UTF-16 form is the smaller.
const SORTED = ['A', 'a-b', 'a.json', 'a/b', 'a/b-c/d', 'a/b.c', 'a/c/d/e', 'a0', 'b/x', 'ab/～', 'ab/🧠'].sort(
  (x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)),
);

async function createAll(store: Store, names: readonly string[]): Promise<void> {
  const left = [...names];
  const worker = async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await store.create(key, Buffer.from(key));
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

export function listingCases(open: OpenStore): void {
  const test = testWith(open);

  test('lists nothing of an empty store', async ({ store }) => {
    assert.deepEqual(await pages(store, ''), { objects: [], prefixes: [] });
    assert.deepEqual(await pages(store, 'missing/', true), { objects: [], prefixes: [] });
  });

  test('lists in byte order of key, with what stat says', async ({ store }) => {
    await createAll(store, SORTED);
    const { objects, prefixes } = await pages(store, '');
    assert.deepEqual(
      objects.map((object) => object.key),
      SORTED,
    );
    assert.deepEqual(prefixes, []);
    for (const { key, bytes, version } of objects) {
      const info = await store.stat(key);
      assert.deepEqual({ bytes, version }, { bytes: info?.bytes, version: info?.version });
      assert.equal(bytes, Buffer.byteLength(key));
    }
    assert.deepEqual(
      await keys(store, 'a/'),
      SORTED.filter((key) => key.startsWith('a/')),
    );
  });

  test('lists one level with the delimiter', async ({ store }) => {
    await createAll(store, SORTED);
    const top = await pages(store, '', true);
    assert.deepEqual(
      top.objects.map((object) => object.key),
      ['A', 'a-b', 'a.json', 'a0'],
    );
    assert.deepEqual(top.prefixes, ['a/', 'ab/', 'b/']);
    const below = await pages(store, 'a/', true);
    assert.deepEqual(
      below.objects.map((object) => object.key),
      ['a/b', 'a/b.c'],
    );
    assert.deepEqual(below.prefixes, ['a/b-c/', 'a/c/']);
  });

  test('an unfinished object makes no prefix', async ({ store }) => {
    const writer = await store.openWriter('a/b/c', 10 * MIB);
    await writer.write(Buffer.alloc(9 * MIB));
    assert.deepEqual(await pages(store, '', true), { objects: [], prefixes: [] });
    await writer.abort();
  });

  test('lists and deletes more than a page', async ({ store, leftovers }) => {
    const names = Array.from({ length: 1050 }, (_, i) => `many/${String(i).padStart(4, '0')}`);
    await createAll(store, [...names, 'other']);
    assert.deepEqual(await keys(store), [...names, 'other']);
    let largest = 0;
    for await (const page of store.list('many/')) largest = Math.max(largest, page.objects.length);
    assert.ok(largest <= 1000);
    assert.equal((await pages(store, 'many/', true)).objects.length, 1050);
    await store.deletePrefix('many/');
    assert.deepEqual(await keys(store), ['other']);
    assert.deepEqual(await leftovers(), []);
  });

  test('deletes below a prefix and nothing beside it', async ({ store, leftovers }) => {
    await createAll(store, ['a/b/c', 'a/b/d/e', 'a/bc', 'a/b.c', 'ab']);
    await store.deletePrefix('a/b/');
    assert.deepEqual(await keys(store), ['a/b.c', 'a/bc', 'ab']);
    await store.deletePrefix('a/b/');
    await store.deletePrefix('missing/');
    await store.deletePrefix('ab/'); // an object, not a folder
    assert.deepEqual(await keys(store), ['a/b.c', 'a/bc', 'ab']);
    await store.delete('a/bc');
    await store.delete('a/bc');
    await store.delete('a/b.c');
    assert.deepEqual(await keys(store), ['ab']);
    assert.deepEqual(await leftovers(), []);
  });

  test('deletes what unfinished writers left below a prefix; those then fail', async (opened) => {
    const { store, leftovers } = opened;
    const writers = [await store.openWriter('a/b/one', 9 * MIB), await store.openWriter('a/two', 9 * MIB)];
    for (const writer of writers) await writer.write(Buffer.alloc(9 * MIB));
    assert.equal((await leftovers()).length >= 2, true);
    await opened.arrived?.();
    const later = await openStore(store.config);
    await later.deletePrefix('a/');
    await later.close();
    assert.deepEqual(await leftovers(), []);
    for (const writer of writers) await refused('upload_incomplete', () => writer.finish());
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('deletes all below a prefix but what is kept, and unfinished writers where nothing else is', async (opened) => {
    const { store, leftovers } = opened;
    for (const key of ['a/1/x', 'a/1/y/z', 'a/2/x', 'a/10/x', 'a/x', 'b']) await store.create(key, Buffer.from('x'));
    const writer = await store.openWriter('a/3/alone', 9 * MIB);
    await writer.write(Buffer.alloc(9 * MIB));
    await opened.arrived?.();
    await store.deletePrefix('a/', { keep: 'a/1/' });
    assert.deepEqual(await keys(store), ['a/1/x', 'a/1/y/z', 'b']);
    assert.deepEqual(await leftovers(), []);
    // A server may find that an upload is gone only while it takes a part, and answer with 500.
    await assert.rejects(
      writer.finish(),
      ({ code }: EmrError) => code === 'upload_incomplete' || code === 'store_unavailable',
    );
    assert.deepEqual(await leftovers(), []);
    for (const keep of ['b/', 'a/', 'a/1/y/', 'a/1']) {
      await refused('invalid_name', () => store.deletePrefix('a/', { keep }));
    }
  });

  test('creates while neighbours are deleted: no write is lost to a vanishing folder', async ({ store, leftovers }) => {
    const one = async (i: number) => {
      for (let round = 0; round < 10; round++) {
        assert.equal(await store.create(`deep/er/${i}`, Buffer.from('x')), true);
        await store.delete(`deep/er/${i}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, i) => one(i)));
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });
}
