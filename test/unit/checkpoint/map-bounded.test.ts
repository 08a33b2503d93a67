import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { mapBounded } from '../../../src/checkpoint/map-bounded.js';

test('keeps the order and the bound', async () => {
  let running = 0;
  let most = 0;
  const items = Array.from({ length: 20 }, (_, i) => i);
  const results = await mapBounded(items, 3, async (i) => {
    most = Math.max(most, ++running);
    for (let turns = 20 - i; turns > 0; turns--) await turn();
    running--;
    return i * 2;
  });
  assert.deepEqual(
    results,
    items.map((i) => i * 2),
  );
  assert.equal(most, 3);
});

test('after a failure begins nothing more, waits, and throws the first in order', async () => {
  const begun: number[] = [];
  let ended = 0;
  const work = async (i: number) => {
    begun.push(i);
    for (let turns = i === 1 ? 1 : 5; turns > 0; turns--) await turn();
    ended++;
    throw new Error(`item ${i}`);
  };
  await assert.rejects(mapBounded([0, 1, 2, 3, 4], 2, work), { message: 'item 0' });
  assert.deepEqual(begun, [0, 1]);
  assert.equal(ended, 2);
});

test('does nothing for no items', async () => {
  assert.deepEqual(await mapBounded([], 4, async () => assert.fail()), []);
});
