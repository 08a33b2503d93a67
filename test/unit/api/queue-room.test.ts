import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireRoom } from '../../../src/api/queue-room.js';
import { refused } from '../../helpers/stores.js';

const ask = (asked: number, fresh: number, waiting = 8) =>
  requireRoom(
    { queue: { counts: async () => ({ waiting, active: 0 }) }, config: { maxWaitingMerges: 10 } } as never,
    asked,
    async () => fresh,
  );

test('who asks for more than may wait now is to come again, and who asks for more than may ever wait is to ask for less', async () => {
  await ask(2, 2);
  await ask(50, 0);
  await ask(50, 2);
  const { facts } = await refused('overloaded', () => ask(3, 3));
  assert.deepEqual(facts, { waiting: 8, limit: 10 });
  await refused('overloaded', () => ask(10, 10));
  const never = await refused('too_large', () => ask(11, 11, 0));
  assert.deepEqual(never.facts, { asked: 11, limit: 10, setting: 'EMR_MAX_WAITING_MERGES' });
});
