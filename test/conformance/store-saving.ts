import assert from 'node:assert/strict';
import type { Front, ObjectWriter, Store } from '../../src/store/types.js';
import { keys, pattern, readAll, refused } from '../helpers/stores.js';
import type { OpenStore } from './store.js';
import { testWith } from './with-store.js';

const MIB = 1 << 20;
const BYTES = 23 * MIB + 7;
const CONTENT = pattern(BYTES);
const { signal } = new AbortController();

/** The bytes of the fronts, one after the other. */
async function read(store: Store, fronts: readonly Front[]): Promise<Buffer> {
  const all = await Promise.all(fronts.map(async ({ key, bytes }) => (await readAll(store, key)).subarray(0, bytes)));
  return Buffer.concat(all);
}

/** Writes CONTENT from `from` to `to`, in uneven pieces out of memory that is used again. */
async function fill(writer: ObjectWriter, from: number, to: number): Promise<void> {
  const scratch = Buffer.alloc(700_001);
  for (let at = from; at < to; at += scratch.byteLength) {
    const chunk = CONTENT.subarray(at, Math.min(to, at + scratch.byteLength));
    scratch.set(chunk);
    await writer.write(scratch.subarray(0, chunk.byteLength));
  }
}

const beside = async (store: Store) => (await keys(store)).filter((key) => !key.startsWith('saved/'));

export function savingCases(open: OpenStore): void {
  const test = testWith(open);

  test('can save, and finding that out leaves nothing', async ({ store, leftovers }) => {
    assert.equal(await store.canSave(), true);
    assert.equal(await store.canSave(), true);
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  // Of less and more than a part of an S3 upload, after nothing new, and at the very end.
  for (const places of [[0], [100], [3 * MIB, 6 * MIB, 6 * MIB, 8 * MIB, 19 * MIB], [5 * MIB, BYTES], [BYTES]]) {
    test(`saves: after ${places.join(', ')} bytes, read while more is written, and still there afterwards`, async (opened) => {
      const { store, leftovers } = opened;
      const writer = await store.openWriter('w/object', BYTES);
      let written = 0;
      let last: Front[] = [];
      for (const [n, place] of places.entries()) {
        await fill(writer, written, place);
        written = place;
        const saving = writer.save('saved/object', signal);
        const more = Math.min(place + 2 * MIB, places[n + 1] ?? BYTES);
        await fill(writer, place, more);
        written = more;
        last = await saving;
        assert.ok(last.every(({ key }) => key === 'saved/object' || key.startsWith('saved/object/')));
        assert.ok((await read(store, last)).equals(CONTENT.subarray(0, place)), `saved after ${place} bytes`);
        assert.deepEqual(await beside(store), []);
      }
      await fill(writer, written, BYTES);
      assert.ok((await read(store, last)).equals(CONTENT.subarray(0, places.at(-1)!)));
      const info = await writer.finish();
      assert.equal(info.bytes, BYTES);
      assert.equal((await store.stat('w/object'))?.version, info.version);
      assert.ok((await readAll(store, 'w/object')).equals(CONTENT));
      assert.deepEqual(await beside(store), ['w/object']);
      await store.deletePrefix('saved/');
      assert.deepEqual(await keys(store), ['w/object']);
      assert.ok((await readAll(store, 'w/object')).equals(CONTENT));
      assert.deepEqual(await leftovers(), []);
    });
  }

  test('abort leaves what was saved and nothing else', async ({ store, leftovers }) => {
    for (const place of [100, 7 * MIB]) {
      const writer = await store.openWriter('w/object', BYTES);
      await fill(writer, 0, place);
      const fronts = await writer.save(`saved/${place}`, signal);
      await fill(writer, place, 14 * MIB);
      await writer.abort();
      assert.ok((await read(store, fronts)).equals(CONTENT.subarray(0, place)));
      assert.deepEqual(await beside(store), []);
      await refused('internal', () => writer.save('saved/late', signal));
      await store.deletePrefix('saved/');
    }
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('a save that is cut short, then abort: nothing is left but below its key', async ({ store, leftovers }) => {
    for (const place of [100, 7 * MIB, 20 * MIB]) {
      const writer = await store.openWriter('w/object', BYTES);
      const controller = new AbortController();
      await fill(writer, 0, place);
      const saving = writer.save('saved/object', controller.signal).catch(() => {});
      controller.abort();
      await saving;
      await writer.abort();
      assert.deepEqual(await beside(store), []);
      await store.deletePrefix('saved/');
    }
    assert.deepEqual(await keys(store), []);
    assert.deepEqual(await leftovers(), []);
  });

  test('a writer that saved misses bytes like any other', async ({ store, leftovers }) => {
    const writer = await store.openWriter('w/object', BYTES);
    await fill(writer, 0, 7 * MIB);
    await writer.save('saved/object', signal);
    await refused('upload_incomplete', () => writer.write(CONTENT));
    await refused('upload_incomplete', () => writer.finish());
    assert.deepEqual(await beside(store), []);
    await store.deletePrefix('saved/');
    assert.deepEqual(await leftovers(), []);
  });
}
