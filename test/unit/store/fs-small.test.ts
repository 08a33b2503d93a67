import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnOfReading } from '../../../src/store/fs-small.js';

test('of thousands of reads that wait, no turn of the event loop takes more than its share', async () => {
  let turns = 0;
  let ticking: NodeJS.Immediate;
  const tick = () => {
    turns += 1;
    ticking = setImmediate(tick);
  };
  tick();
  const reads = new Map<number, number>();
  const read = async () => {
    await turnOfReading();
    reads.set(turns, (reads.get(turns) ?? 0) + 1);
  };
  await Promise.all(Array.from({ length: 2_000 }, read));
  clearImmediate(ticking!);
  assert.equal(Math.max(...reads.values()), 64);
  assert.equal(reads.size, Math.ceil(2_000 / 64));
});
