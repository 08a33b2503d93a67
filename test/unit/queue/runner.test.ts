import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRunner, jobKey } from '../../../src/queue/runner.js';
import { gate, recorder, untilAborted } from '../../helpers/queue-handlers.js';

const job = { kind: 'merge', namespace: 'default', id: 'a' } as const;
const ignore = () => {};

describe('queue runner', () => {
  test('an attempt that resolves is done, one that rejects has failed with its error', async () => {
    const error = new Error('no');
    const good = createRunner(async () => {}, 10);
    const bad = createRunner(() => Promise.reject(error), 10);
    const ugly = createRunner(() => {
      throw error;
    }, 10);
    assert.deepEqual(await good.run('k', job, ignore), { kind: 'done' });
    assert.deepEqual(await bad.run('k', job, ignore), { kind: 'failed', error });
    assert.deepEqual(await ugly.run('k', job, ignore), { kind: 'failed', error });
    assert.deepEqual(good.running(), []);
  });

  test('cancel aborts every attempt under its key and no other', async () => {
    const { contexts, handler } = recorder(untilAborted);
    const runner = createRunner(handler, 10);
    const cancelled = [runner.run('k', job, ignore), runner.run('k', job, ignore)];
    const kept = runner.run('other', job, ignore);
    runner.cancel('k');
    assert.deepEqual(await Promise.all(cancelled), [{ kind: 'cancelled' }, { kind: 'cancelled' }]);
    assert.deepEqual(runner.running(), ['other']);
    await runner.stop();
    assert.deepEqual(await kept, { kind: 'shutdown' });
    assert.deepEqual(
      contexts.map(({ signal }) => signal.reason),
      ['cancelled', 'cancelled', 'shutdown'],
    );
  });

  test('a cancel that comes before the handler is called is there when it is', async () => {
    const { contexts, handler } = recorder(untilAborted);
    const runner = createRunner(handler, 10);
    const attempt = runner.run('k', job, ignore);
    runner.cancel('k');
    assert.deepEqual(contexts, []);
    assert.deepEqual(await attempt, { kind: 'cancelled' });
    assert.equal(contexts.length, 1);
  });

  test('stop leaves handlers that do not listen to themselves, and keeps the first reason', async () => {
    const end = gate();
    const runner = createRunner(() => end.passed, 10);
    const cancelled = runner.run('k', job, ignore);
    const running = runner.run('other', job, ignore);
    runner.cancel('k');
    await runner.stop();
    assert.deepEqual(await cancelled, { kind: 'cancelled' });
    assert.deepEqual(await running, { kind: 'shutdown' });
    end.open();
  });

  test('starts nothing after stop', async () => {
    const { jobs, handler } = recorder();
    const runner = createRunner(handler, 10);
    await runner.stop();
    assert.deepEqual(await runner.run('k', job, ignore), { kind: 'shutdown' });
    assert.deepEqual(jobs, []);
  });

  test('keys are one to one, have no colon and are never all digits', () => {
    const pairs = [
      ['a', 'b/c'],
      ['a/b', 'c'],
      ['1', '2'],
      ['12', ''],
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['a%2Fb', 'c'],
    ] as const;
    const keys = pairs.map(([namespace, id]) => jobKey({ kind: 'merge', namespace, id }));
    assert.equal(new Set(keys).size, pairs.length);
    for (const key of keys) assert.match(key, /^[^:]*\/[^:]*$/);
  });
});
