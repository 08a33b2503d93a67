import assert from 'node:assert/strict';
import { openStore } from '../../src/store/open.js';
import { chunks, pattern, readAll, refused, shared } from '../helpers/stores.js';
import type { OpenStore } from './store.js';
import { testWith } from './with-store.js';

const MIB = 1 << 20;

export function readingCases(open: OpenStore): void {
  const test = testWith(open);

  test('a missing object, also below one and above others', async ({ store }) => {
    await store.create('a/b', Buffer.from('x'));
    for (const key of ['missing', 'missing/too', 'a', 'a/b/c']) {
      assert.equal(await store.stat(key), undefined, key);
      assert.equal(await store.readSmall(key), undefined, key);
      await refused('not_found', () => store.openReader(key));
      await store.delete(key);
    }
    assert.equal((await store.readSmall('a/b'))?.toString(), 'x');
  });

  test('readSmall up to its limit', async ({ store }) => {
    await store.create('empty', Buffer.alloc(0));
    await store.create('ten', Buffer.from('0123456789'));
    assert.deepEqual(await store.readSmall('empty', 0), Buffer.alloc(0));
    assert.equal((await store.readSmall('ten', 10))?.toString(), '0123456789');
    const error = await refused('too_large', () => store.readSmall('ten', 9));
    assert.deepEqual(error.facts, { key: 'ten', bytes: 10, limit: 9 });
  });

  test('reads at odd offsets into views of shared memory', async ({ store }) => {
    const content = pattern(3 * MIB + 7);
    const { version } = await store.put('object', chunks(content, MIB));
    const reader = await store.openReader('object');
    assert.equal(reader.bytes, content.byteLength);
    assert.equal(reader.version, version);
    const end = content.byteLength;
    for (const [offset, length] of [
      [0, 0],
      [0, 1],
      [1, 7],
      [4095, 4098],
      [MIB - 3, MIB + 5],
      [end - 1, 1],
      [end, 0],
      [0, end],
    ] as const) {
      const expected = content.subarray(offset, offset + length);
      const memory = shared(Buffer.alloc(length + 6, 0xee));
      await reader.read(memory.subarray(3, 3 + length), offset);
      assert.ok(Buffer.from(memory.slice(3, 3 + length)).equals(expected), `${length} at ${offset}`);
      assert.deepEqual([...memory.slice(0, 3), ...memory.slice(3 + length)], Array(6).fill(0xee));
      if (!reader.readSync) continue;
      memory.fill(0xee);
      reader.readSync(memory.subarray(3, 3 + length), offset);
      assert.ok(Buffer.from(memory.slice(3, 3 + length)).equals(expected), `${length} at ${offset}, synchronously`);
    }
    await reader.close();
    await reader.close();
  });

  test('many reads of one reader at a time', async ({ store }) => {
    const content = pattern(2 * MIB);
    await store.put('object', chunks(content, MIB));
    const reader = await store.openReader('object');
    const parts = Array.from({ length: 100 }, (_, i) => ({ offset: i * 20_011, target: Buffer.alloc(40_000) }));
    await Promise.all(parts.map(({ target, offset }) => reader.read(target, offset)));
    for (const { target, offset } of parts) assert.ok(target.equals(content.subarray(offset, offset + 40_000)));
    await reader.close();
  });

  test('a range beyond the end is refused', async ({ store }) => {
    await store.create('object', Buffer.from('0123456789'));
    const reader = await store.openReader('object');
    for (const [offset, length] of [
      [0, 11],
      [10, 1],
      [-1, 2],
      [0.5, 1],
    ] as const) {
      await refused('invalid_range', () => reader.read(Buffer.alloc(length), offset));
    }
    await reader.close();
  });

  test('a reader of an object that is replaced, of the same size, or deleted fails with source_changed', async ({
    store,
  }) => {
    const target = Buffer.alloc(4);
    for (const change of [
      () => store.put('object', chunks(Buffer.from('AAAABBBB'), 8)),
      () => store.put('object', chunks(Buffer.from('A'), 1)),
      () => store.delete('object'),
    ]) {
      await store.put('object', chunks(Buffer.from('aaaabbbb'), 8));
      const reader = await store.openReader('object');
      await reader.read(target, 4);
      assert.equal(target.toString(), 'bbbb');
      await change();
      await refused('source_changed', () => reader.read(target, 0));
      if (reader.readSync) await refused('source_changed', async () => reader.readSync?.(target, 0));
      await reader.close();
    }
  });

  test('its config opens the same store again', async ({ store }) => {
    await store.create('a/b', Buffer.from('x'));
    const again = await openStore(structuredClone(store.config));
    assert.deepEqual(await readAll(again, 'a/b'), Buffer.from('x'));
    assert.equal(await again.create('a/b', Buffer.from('y')), false);
    await again.close();
  });
}
