import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSharedLooks } from '../../../src/api/shared-look.js';
import { gate } from '../../helpers/queue-handlers.js';

/** Looks that each take until they are let go, and see how often there was one. */
function scene() {
  const shared = createSharedLooks<number>();
  const gates: ReturnType<typeof gate>[] = [];
  const look = async () => {
    const own = gate();
    gates.push(own);
    const number = gates.length;
    await own.passed;
    if (number === 13) throw new Error('unlucky');
    return number;
  };
  return { gates, ask: (key = 'a') => shared(key, look) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('who asks while somebody looks gets the next look, all of them the same', async () => {
  const { gates, ask } = scene();
  const first = ask();
  const waiting = [ask(), ask(), ask()];
  await turn();
  assert.equal(gates.length, 1, 'one look at a time');
  gates[0]!.open();
  assert.equal(await first, 1);
  await turn();
  assert.equal(gates.length, 2);
  const later = ask();
  gates[1]!.open();
  assert.deepEqual(await Promise.all(waiting), [2, 2, 2]);
  await turn();
  gates[2]!.open();
  assert.equal(await later, 3, 'the second look had begun before it was asked for');
});

test('afterwards the next one who asks looks at once, and keys know nothing of each other', async () => {
  const { gates, ask } = scene();
  const [a, b] = [ask('a'), ask('b')];
  assert.equal(gates.length, 2);
  for (const one of gates) one.open();
  assert.deepEqual([await a, await b], [1, 2]);
  await turn();
  const again = ask('a');
  assert.equal(gates.length, 3);
  gates[2]!.open();
  assert.equal(await again, 3);
});

test('a look that fails fails for those who waited for it, and not for others', async () => {
  const { gates, ask } = scene();
  for (let i = 0; i < 12; i++) {
    const one = ask();
    gates[i]!.open();
    await one;
    await turn();
  }
  const failing = ask();
  const next = ask();
  gates[12]!.open();
  await assert.rejects(failing, /unlucky/);
  await turn();
  gates[13]!.open();
  assert.equal(await next, 14);
});
