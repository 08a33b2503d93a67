import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { withoutRepeats } from '../../../src/queue/redis.js';
import { throttle } from '../../../src/queue/throttle.js';

describe('throttle', () => {
  test('sends the first at once, then the latest per interval, and the last one surely', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const sent: number[] = [];
    const { push } = throttle<number>((value) => sent.push(value), 250);
    for (const value of [1, 2, 3]) push(value);
    assert.deepEqual(sent, [1]);
    t.mock.timers.tick(249);
    assert.deepEqual(sent, [1]);
    t.mock.timers.tick(1);
    assert.deepEqual(sent, [1, 3]);
    t.mock.timers.tick(250);
    push(4);
    assert.deepEqual(sent, [1, 3, 4]);
    push(5);
    t.mock.timers.tick(250);
    assert.deepEqual(sent, [1, 3, 4, 5]);
  });

  test('sends nothing after stop', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const sent: number[] = [];
    const { push, stop } = throttle<number>((value) => sent.push(value), 250);
    push(1);
    push(2);
    stop();
    push(3);
    t.mock.timers.tick(1000);
    assert.deepEqual(sent, [1]);
  });
});

test('a log without repeats passes an error on again after half a minute', (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  const seen: string[] = [];
  const log = withoutRepeats((_message, error) => seen.push(String(error)));
  for (const text of ['a', 'b', 'a', 'b', 'a']) log('Redis', text);
  assert.deepEqual(seen, ['a', 'b']);
  t.mock.timers.tick(30_000);
  log('Redis', 'a');
  assert.deepEqual(seen, ['a', 'b', 'a']);
});
