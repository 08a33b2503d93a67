import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type BullQueueOptions, createBullQueue } from '../../src/queue/bullmq.js';
import type { Job, WorkQueue } from '../../src/queue/types.js';
import { gate, recorder, untilAborted } from '../helpers/queue-handlers.js';
import { privateRedis, redisServer } from '../helpers/redis.js';
import { until } from '../helpers/until.js';
import { queueSuite } from './queue.js';

const server = await redisServer();
const skip = 'skip' in server ? server.skip : false;
after(() => ('skip' in server ? undefined : server.stop()));

const job = (id: string): Job => ({ kind: 'merge', namespace: 'default', id });

/** Queue objects with connections of their own on one fresh prefix. */
function ends(t: TestContext, options: Omit<BullQueueOptions, 'url' | 'prefix'> = {}) {
  assert.ok(!('skip' in server));
  const { url } = server;
  const { prefix, clean } = server.freshPrefix();
  const queues: WorkQueue[] = [];
  t.after(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    await clean();
  });
  const queueAt = (at: string): WorkQueue => {
    const queue = createBullQueue({ url: at, prefix, backoffMs: 20, closeGraceMs: 300, ...options });
    queues.push(queue);
    return queue;
  };
  return { url, prefix, queueAt, end: () => queueAt(url) };
}

queueSuite(
  'BullMQ',
  async (t, options) => {
    const { end } = ends(t, options);
    return { queue: end(), other: end() };
  },
  { skip },
);

describe('queue: BullMQ on Redis', { skip }, () => {
  test('two workers share the jobs', async (t) => {
    const { end } = ends(t);
    const open = gate();
    const first = recorder(() => open.passed);
    const second = recorder(() => open.passed);
    await end().work(first.handler);
    await end().work(second.handler);
    const queue = end();
    for (const id of ['a', 'b']) await queue.enqueue(job(id));
    await until('each has one', () => first.jobs.length === 1 && second.jobs.length === 1);
    assert.deepEqual([...first.ids(), ...second.ids()].toSorted(), ['a', 'b']);
    open.open();
  });

  test('a killed worker: its jobs run elsewhere, and a cancel meanwhile is not lost', async (t) => {
    const { url, prefix, end } = ends(t);
    const script = fileURLToPath(new URL('../helpers/queue-child.js', import.meta.url));
    const child = spawn(process.execPath, [script, url, prefix], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const taken: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => taken.push(line));
    const queue = end();
    await queue.enqueue(job('kept'));
    await queue.enqueue(job('cancelled'));
    await until('the child has both', () => taken.length === 2);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const killed = Date.now();

    const { contexts, ids, handler } = recorder(async (j, context) => {
      if (j.id === 'cancelled') await untilAborted(j, context);
    });
    await end().work(handler, { concurrency: 2 });
    assert.equal(await queue.cancel(job('cancelled')), 'signalled');
    await until('both have run', () => ids().length === 2, 25_000);
    await until('both are done', async () => (await queue.counts()).active === 0);
    t.diagnostic(`recovered ${Date.now() - killed} ms after the kill`);
    const reasons = Object.fromEntries(ids().map((id, i) => [id, contexts[i]!.signal.reason]));
    assert.deepEqual(reasons, { kept: undefined, cancelled: 'cancelled' });
  });

  test('a job that has lost too many workers is given up', async (t) => {
    const { url, prefix, end } = ends(t);
    const queue = end();
    await queue.enqueue(job('a'));
    // What BullMQ writes when a job stalls once more than it may.
    const redis = new Redis(url);
    t.after(() => redis.disconnect());
    await redis.hset(`${prefix}:merges:merge/default/a`, 'defa', 'job stalled more than allowable limit');
    const { jobs, handler } = recorder();
    const given: string[] = [];
    await queue.work(handler, { onExhausted: async (j, error) => void given.push(j.id, (error as Error).message) });
    await until('it is given up', () => given.length > 0);
    assert.deepEqual(given, ['a', 'job stalled more than allowable limit']);
    assert.deepEqual(jobs, []);
    assert.equal(await queue.status(job('a')), undefined);
  });

  test('data that nobody here wrote is dropped', async (t) => {
    const logged: string[] = [];
    const { url, prefix, end } = ends(t, { log: (message) => logged.push(message) });
    const stranger = new Queue('merges', { connection: { url }, prefix });
    t.after(() => stranger.close());
    const options = { removeOnComplete: true };
    for (const data of [{}, { namespace: 'default' }, { namespace: 'default', id: 7 }, { ...job('a'), more: 1 }, 'a']) {
      await stranger.add('merge', data, options);
    }
    const { ids, handler } = recorder();
    const queue = end();
    await queue.enqueue(job('last'));
    await queue.work(handler);
    await until('the last has run', async () => (await queue.status(job('last'))) === undefined);
    assert.deepEqual(ids(), ['last']);
    assert.equal(logged.filter((line) => line.includes('unreadable')).length, 5);
  });

  test('Redis emptied: a job can be added again and runs', async (t) => {
    const own = await privateRedis();
    if ('skip' in own) return t.skip(own.skip);
    const queue = ends(t).queueAt(own.url);
    const { ids, handler } = recorder();
    await queue.enqueue(job('a'));
    const redis = new Redis(own.url);
    t.after(() => redis.disconnect());
    t.after(() => own.stop());
    await redis.flushall();
    assert.equal(await queue.status(job('a')), undefined);
    await queue.work(handler);
    await queue.enqueue(job('a'));
    await until('it is done', async () => (await queue.status(job('a'))) === undefined);
    assert.deepEqual(ids(), ['a']);
    await redis.flushall();
    await queue.enqueue(job('b'));
    await until('the waiting worker takes the next', () => ids().length === 2);
  });

  test('Redis away: callers are refused soon; all works again when it is back', async (t) => {
    const first = await privateRedis();
    if ('skip' in first) return t.skip(first.skip);
    await first.stop();
    const queue = ends(t).queueAt(first.url);
    const { ids, handler } = recorder();
    await queue.work(handler);
    const refused = { code: 'queue_unavailable' };
    const assertAllRefused = async () => {
      await assert.rejects(queue.enqueue(job('a')), refused);
      await assert.rejects(queue.status(job('a')), refused);
      await assert.rejects(queue.cancel(job('a')), refused);
      await assert.rejects(queue.counts(), refused);
      await assert.rejects(queue.check(), refused);
    };
    await assertAllRefused(); // never up

    for (const id of ['a', 'b']) {
      const back = await privateRedis({ port: first.port });
      assert.ok(!('skip' in back));
      t.after(() => back.stop());
      await until('the queue is back', () =>
        queue.enqueue(job(id)).then(
          () => true,
          () => false,
        ),
      );
      await until('the job has run', () => ids().includes(id));
      await back.stop();
      await assertAllRefused(); // gone again
    }
    assert.deepEqual(ids(), ['a', 'b']);
  });

  test('Redis away: a worker closes all the same', async (t) => {
    const own = await privateRedis();
    if ('skip' in own) return t.skip(own.skip);
    const { queueAt } = ends(t);
    t.after(() => own.stop());
    const queue = queueAt(own.url);
    const { contexts, handler } = recorder(untilAborted);
    const running = await queue.work(handler);
    await queue.enqueue(job('a'));
    await until('it runs', () => contexts.length === 1);
    await own.stop();
    await running.close();
    assert.equal(contexts[0]!.signal.reason, 'shutdown');
    const neverUp = await queueAt(own.url).work(handler);
    await neverUp.close();
  });
});
