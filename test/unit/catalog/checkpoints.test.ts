import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCheckpointCatalog } from '../../../src/catalog/checkpoints.js';
import { keys } from '../../../src/catalog/keys.js';
import type { Store } from '../../../src/store/types.js';
import { recordOf } from '../../helpers/records.js';

/** A store with these records, and whose records were read. */
function storeWith(names: readonly string[], tensors: number) {
  const read: string[] = [];
  const shapes = Object.fromEntries(Array.from({ length: tensors }, (_, i) => [`t${i}`, ['F32', [0]]]));
  const nameOf = (key: string) => names.find((name) => key === keys.checkpointRecord('ns', name));
  const store = {
    stat: async (key: string) => (nameOf(key) === undefined ? undefined : { version: '1' }),
    async readSmall(key: string) {
      const name = nameOf(key)!;
      read.push(name);
      return Buffer.from(JSON.stringify(recordOf(name, shapes as never)));
    },
    async *list(prefix: string) {
      yield { objects: [], prefixes: names.map((name) => `${prefix}${name}/`) };
    },
  } as unknown as Store;
  return { checkpoints: createCheckpointCatalog(store, 500), read };
}

test('a list keeps of each record only what is asked of it, and reads no more than it lists', async () => {
  const { checkpoints, read } = storeWith(['a', 'b', 'c'], 1);
  const page = await checkpoints.list('ns', { limit: 2 }, ({ name, tensors }) => `${name} ${tensors.length}`);
  assert.deepEqual(page, { items: ['a 1', 'b 1'], more: true });
  assert.deepEqual(read, ['a', 'b']);
  await checkpoints.get('ns', 'a');
  assert.deepEqual(read, ['a', 'b'], 'it is held, as there is room');
});

test('of records with many tensors fewer are held', async () => {
  const { checkpoints, read } = storeWith(['a', 'b', 'c'], 200);
  for (const name of ['a', 'b', 'b', 'a', 'c', 'c', 'a', 'b']) await checkpoints.get('ns', name);
  assert.deepEqual(read, ['a', 'b', 'c', 'b']);
});

test('a list takes no room of the records in use', async () => {
  const { checkpoints, read } = storeWith(['a', 'b', 'c'], 200);
  for (const name of ['b', 'c']) await checkpoints.get('ns', name);
  await checkpoints.list('ns', { limit: 3 }, ({ name }) => name);
  for (const name of ['b', 'c']) await checkpoints.get('ns', name);
  assert.deepEqual(read, ['b', 'c', 'a']);
});
