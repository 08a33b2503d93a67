import assert from 'node:assert/strict';
import { keys, readAll, refused } from '../helpers/stores.js';
import type { OpenStore } from './store.js';
import { testWith } from './with-store.js';

const BYTES = Buffer.from('bytes');

/** Name of the attack or mistake, and the key. */
const BAD_KEYS: [string, string][] = [
  ['empty', ''],
  ['parent', '..'],
  ['parent first', '../a'],
  ['parent within', 'a/../b'],
  ['parent last', 'a/..'],
  ['current', './a'],
  ['current within', 'a/./b'],
  ['absolute', '/etc/passwd'],
  ['empty segment', 'a//b'],
  ['trailing slash', 'a/'],
  ['backslash', 'a\\b'],
  ['backslash traversal', '..\\a'],
  ['NUL', 'a\0b'],
  ['newline', 'a\nb'],
  ['lone surrogate', 'a\ud800b'],
  ['name of an unfinished file', 'a/.tmp-1'],
  ['segment over 255 bytes', `a/${'x'.repeat(256)}`],
  ['segment over 255 bytes in UTF-8', 'ü'.repeat(128)],
  ['key over 1,024 bytes', Array.from({ length: 5 }, () => 'x'.repeat(205)).join('/')],
];

const GOOD_KEYS = [
  'a',
  'a b/c+d',
  'a%2Fb/%2e%2e',
  'model-00001-of-00002.safetensors',
  'Grüße/模型/🧠.bin',
  '...',
  '..a/.hidden',
  'a&b=c?d#e',
  'quotes\'"<x>',
  `${'x'.repeat(255)}/y`,
];

const BAD_PREFIXES = ['a', '/', '../', 'a/../', 'a//', '/a/', 'a\\/', '.tmp-1/'];

export function keyCases(open: OpenStore): void {
  const test = testWith(open);

  for (const [name, key] of BAD_KEYS) {
    test(`refuses a key: ${name}`, async ({ store }) => {
      await refused('invalid_name', () => store.stat(key));
      await refused('invalid_name', () => store.openReader(key));
      await refused('invalid_name', () => store.readSmall(key));
      await refused('invalid_name', () => store.create(key, BYTES));
      await refused('invalid_name', () => store.openWriter(key, 1));
      await refused('invalid_name', () =>
        store.put(
          key,
          (async function* () {
            yield BYTES;
          })(),
        ),
      );
      await refused('invalid_name', () => store.delete(key));
      assert.deepEqual(await keys(store), []);
    });
  }

  test('refuses prefixes that are no key with a slash, and to delete everything', async ({ store }) => {
    await store.create('a', BYTES);
    for (const prefix of BAD_PREFIXES) {
      await refused('invalid_name', () => keys(store, prefix));
      await refused('invalid_name', () => store.deletePrefix(prefix));
    }
    await refused('invalid_name', () => store.deletePrefix(''));
    assert.deepEqual(await keys(store), ['a']);
  });

  for (const key of GOOD_KEYS) {
    test(`takes the key ${key.length > 50 ? `of ${key.length} characters` : key}`, async ({ store }) => {
      assert.equal(await store.create(key, BYTES), true);
      assert.deepEqual(await readAll(store, key), BYTES);
      assert.deepEqual(await keys(store), [key]);
      assert.equal((await store.stat(key))?.key, key);
      await store.delete(key);
      assert.deepEqual(await keys(store), []);
    });
  }
}
