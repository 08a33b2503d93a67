import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createPace } from '../../../src/api/pace.js';

const WINDOW = { windowMs: 20, minBytes: 10 };
const silence = () => new Promise<never>(() => {});

test('what comes passes, whole, and so does what went wrong with it', async () => {
  async function* broken() {
    yield 'a';
    yield 'b';
    throw new Error('the source broke');
  }
  const passed: string[] = [];
  const { steady } = createPace(() => 0, WINDOW);
  await assert.rejects(async () => {
    for await (const one of steady(broken())) passed.push(one);
  }, /the source broke/);
  assert.deepEqual(passed, ['a', 'b']);
});

test('silence is refused, though the source does not end', async () => {
  async function* silent() {
    yield 'a';
    await silence();
  }
  const source = createPace(() => 0, WINDOW).steady(silent());
  assert.deepEqual(await source.next(), { value: 'a', done: false });
  await assert.rejects(source.next(), { code: 'upload_stalled' });
});

test('many short waits are one long one, in several sources, too', async () => {
  async function* dripping() {
    for (;;) {
      await delay(5);
      yield 'a';
    }
  }
  const { steady } = createPace(() => 9, WINDOW);
  await assert.rejects(
    async () => {
      for (;;) {
        for await (const _ of steady(dripping())) break;
      }
    },
    { code: 'upload_stalled' },
  );
});

test('a client that sends enough may take as long as it takes', async () => {
  let received = 0;
  async function* slow() {
    for (let i = 0; i < 8; i++) {
      received += WINDOW.minBytes;
      await delay(WINDOW.windowMs / 2);
      yield i;
    }
  }
  const passed: number[] = [];
  for await (const one of createPace(() => received, WINDOW).steady(slow())) passed.push(one);
  assert.deepEqual(passed, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('a slow consumer is not the fault of the client', async () => {
  async function* ready() {
    yield 'a';
    yield 'b';
  }
  const passed: string[] = [];
  for await (const one of createPace(() => 0, WINDOW).steady(ready())) {
    passed.push(one);
    await delay(3 * WINDOW.windowMs);
  }
  assert.deepEqual(passed, ['a', 'b']);
});

test('a source is told when nobody reads on', async () => {
  const told: string[] = [];
  async function* source() {
    try {
      yield 'a';
    } finally {
      told.push('told');
    }
  }
  for await (const _ of createPace(() => 0, WINDOW).steady(source())) break;
  assert.deepEqual(told, ['told']);
});
