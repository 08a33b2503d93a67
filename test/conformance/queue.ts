/** What every queue must do. `open` gives two ends of one fresh queue (a local queue has one: twice the same). */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { QueueOptions } from '../../src/queue/options.js';
import { type Job, TryLater, type WorkQueue } from '../../src/queue/types.js';
import { gate, recorder, untilAborted } from '../helpers/queue-handlers.js';
import { until } from '../helpers/until.js';

export interface QueueEnds {
  readonly queue: WorkQueue;
  readonly other: WorkQueue;
}

/** Closes and removes the queue itself, after the test `t`. */
export type OpenQueue = (t: TestContext, options: QueueOptions) => Promise<QueueEnds>;

/** A timer may be early by the grain of its clock. */
const CLOCK_MS = 2;
const FAST: QueueOptions = { backoffMs: 20, closeGraceMs: 300 };
const job = (id: string, namespace = 'default'): Job => ({ kind: 'merge', namespace, id });

const isGone = (queue: WorkQueue, j: Job) =>
  until(`${j.id} is done`, async () => (await queue.status(j)) === undefined);
const isActive = (queue: WorkQueue, j: Job) =>
  until(`${j.id} is active`, async () => (await queue.status(j))?.state === 'active');

export function queueSuite(name: string, open: OpenQueue, options: { skip?: string | false } = {}): void {
  describe(`queue: ${name}`, { skip: options.skip ?? false }, () => {
    test('runs a job once', async (t) => {
      const { queue } = await open(t, FAST);
      const { jobs, handler } = recorder();
      await queue.work(handler);
      await queue.enqueue(job('a'));
      await isGone(queue, job('a'));
      assert.deepEqual(jobs, [job('a')]);
    });

    test('runs what waits in the order it came', async (t) => {
      const { queue } = await open(t, FAST);
      const { ids, handler } = recorder();
      for (const id of ['a', 'b', 'c', 'd']) await queue.enqueue(job(id));
      await queue.work(handler);
      await isGone(queue, job('d'));
      assert.deepEqual(ids(), ['a', 'b', 'c', 'd']);
    });

    test('takes a waiting job once', async (t) => {
      const { queue, other } = await open(t, FAST);
      const { ids, handler } = recorder();
      await queue.enqueue(job('a'));
      await other.enqueue(job('a'));
      assert.deepEqual(await queue.counts(), { waiting: 1, active: 0 });
      await queue.enqueue(job('last'));
      await queue.work(handler);
      await isGone(queue, job('last'));
      assert.deepEqual(ids(), ['a', 'last']);
    });

    test('does not take a job that is active', async (t) => {
      const { queue, other } = await open(t, FAST);
      const end = gate();
      const { ids, handler } = recorder(() => end.passed);
      await queue.work(handler);
      await queue.enqueue(job('a'));
      await isActive(queue, job('a'));
      await other.enqueue(job('a'));
      await queue.enqueue(job('last'));
      end.open();
      await isGone(queue, job('last'));
      assert.deepEqual(ids(), ['a', 'last']);
    });

    test('another opening of a run is another job: it runs beside the first, and is not cancelled with it', async (t) => {
      const { queue, other } = await open(t, FAST);
      const again: Job = { ...job('a'), opening: 1 };
      const end = gate();
      const { jobs, contexts, handler } = recorder(() => end.passed);
      await queue.work(handler, { concurrency: 2 });
      await queue.enqueue(job('a'));
      await until('it runs', () => jobs.length === 1);
      assert.equal(await other.cancel(job('a')), 'signalled');
      await until('it is told', () => contexts[0]!.signal.aborted);
      await other.enqueue(again);
      await until('the other runs', () => jobs.length === 2);
      assert.deepEqual(jobs, [job('a'), again]);
      assert.equal(contexts[1]!.signal.aborted, false);
      end.open();
      await isGone(queue, again);
      await isGone(queue, job('a'));
    });

    test('takes a job again after it is done', async (t) => {
      const { queue } = await open(t, FAST);
      const { ids, handler } = recorder();
      await queue.work(handler);
      for (let round = 1; round <= 3; round += 1) {
        await queue.enqueue(job('a'));
        await isGone(queue, job('a'));
        assert.equal(ids().length, round);
      }
    });

    test('keeps namespaces apart, and takes ids that are numbers or have odd characters', async (t) => {
      const { queue } = await open(t, FAST);
      const { jobs, handler } = recorder();
      const all = [job('a'), job('a', 'other'), job('12'), job('1:2'), job('a/b', 'c'), job('b', 'c/a')];
      for (const j of all) await queue.enqueue(j);
      assert.deepEqual(await queue.counts(), { waiting: all.length, active: 0 });
      assert.deepEqual(await queue.counts('other'), { waiting: 1, active: 0 });
      assert.deepEqual(await queue.counts('nobody'), { waiting: 0, active: 0 });
      await queue.work(handler);
      await until('all have run', () => jobs.length === all.length);
      assert.deepEqual(jobs, all);
    });

    test('tells state, attempts and progress', async (t) => {
      const { queue, other } = await open(t, FAST);
      const end = gate();
      const progress = { phase: 'merge', bytes_done: 1, bytes_total: 4, bytes_per_second: 0.5 };
      assert.equal(await queue.status(job('a')), undefined);
      await queue.enqueue(job('a'));
      assert.deepEqual(await other.status(job('a')), { state: 'waiting', attempts: 0 });
      const { contexts, handler } = recorder((_job, context) => {
        for (let done = 1; done <= 3; done += 1) context.progress({ ...progress, bytes_done: done });
        return end.passed;
      });
      await queue.work(handler);
      await until('the last progress is seen', async () => (await other.status(job('a')))?.progress?.bytes_done === 3);
      const status = { state: 'active', attempts: 1, progress: { ...progress, bytes_done: 3 } };
      assert.deepEqual(await other.status(job('a')), status);
      end.open();
      await isGone(other, job('a'));
      contexts[0]!.progress(progress);
      assert.equal(await queue.status(job('a')), undefined);
    });

    test('runs as many at a time as asked, and no more', async (t) => {
      const { queue } = await open(t, FAST);
      const end = gate();
      let running = 0;
      let most = 0;
      const { jobs, handler } = recorder(async () => {
        running += 1;
        most = Math.max(most, running);
        await end.passed;
        running -= 1;
      });
      for (const id of ['a', 'b', 'c']) await queue.enqueue(job(id));
      await queue.work(handler, { concurrency: 2 });
      await until('two run', () => running === 2);
      assert.deepEqual(await queue.counts(), { waiting: 1, active: 2 });
      end.open();
      await isGone(queue, job('c'));
      assert.equal(jobs.length, 3);
      assert.equal(most, 2);
    });

    test('cancel: a waiting job is removed and never runs', async (t) => {
      const { queue, other } = await open(t, FAST);
      const { ids, handler } = recorder();
      await queue.enqueue(job('a'));
      await queue.enqueue(job('b'));
      assert.equal(await other.cancel(job('a')), 'removed');
      assert.equal(await queue.status(job('a')), undefined);
      await queue.work(handler);
      await isGone(queue, job('b'));
      assert.deepEqual(ids(), ['b']);
    });

    test('cancel: a job that waits for its next try is removed', async (t) => {
      const { queue, other } = await open(t, { ...FAST, backoffMs: 60_000 });
      const { jobs, handler } = recorder(async () => assert.fail('as planned'));
      await queue.work(handler);
      await queue.enqueue(job('a'));
      await until('it waits again', async () => {
        const status = await queue.status(job('a'));
        return status?.attempts === 1 && status.state === 'waiting';
      });
      assert.equal(await other.cancel(job('a')), 'removed');
      assert.equal(await queue.status(job('a')), undefined);
      assert.equal(jobs.length, 1);
    });

    test('cancel: a running job is told why, is not tried again, and can be added again', async (t) => {
      const { queue, other } = await open(t, FAST);
      const exhausted = recorder();
      let wait = true;
      const { contexts, handler } = recorder(async (j, context) => {
        if (wait) await untilAborted(j, context);
      });
      await queue.work(handler, { onExhausted: (j) => exhausted.handler(j, contexts[0]!) });
      await queue.enqueue(job('a'));
      await isActive(queue, job('a'));
      assert.equal(await other.cancel(job('a')), 'signalled');
      await isGone(queue, job('a'));
      assert.equal(contexts.length, 1);
      assert.equal(contexts[0]!.signal.reason, 'cancelled');

      wait = false;
      await queue.enqueue(job('a'));
      await isGone(queue, job('a'));
      assert.equal(contexts.length, 2);
      assert.equal(contexts[1]!.signal.aborted, false);
      assert.deepEqual(exhausted.jobs, []);
    });

    test('cancel: reaches a job in the moment it starts', async (t) => {
      const { queue, other } = await open(t, FAST);
      const { contexts, handler } = recorder(untilAborted);
      await queue.work(handler, { concurrency: 4 });
      for (let round = 0; round < 20; round += 1) {
        const j = job(`a${round}`);
        await queue.enqueue(j);
        await until('it is active', async () => (await other.status(j))?.state === 'active');
        assert.equal(await other.cancel(j), 'signalled');
        await isGone(queue, j);
      }
      assert.deepEqual(new Set(contexts.map(({ signal }) => signal.reason)), new Set(['cancelled']));
    });

    test('cancel: a job that the queue does not know, or is done with, is absent', async (t) => {
      const { queue } = await open(t, FAST);
      assert.equal(await queue.cancel(job('a')), 'absent');
      await queue.work(recorder().handler);
      await queue.enqueue(job('a'));
      await isGone(queue, job('a'));
      assert.equal(await queue.cancel(job('a')), 'absent');
    });

    test('cancel: a handler that does not listen holds up nobody', async (t) => {
      const { queue, other } = await open(t, FAST);
      const end = gate();
      const { contexts, handler } = recorder(async () => {
        await end.passed;
        throw new Error('too late');
      });
      await queue.work(handler);
      await queue.enqueue(job('a'));
      await isActive(queue, job('a'));
      assert.equal(await other.cancel(job('a')), 'signalled');
      await until('it is told', () => contexts[0]!.signal.aborted);
      assert.equal((await other.status(job('a')))?.state, 'active');
      assert.equal(await other.cancel(job('a')), 'signalled');
      end.open();
      await isGone(queue, job('a'));
      assert.equal(contexts.length, 1);
    });

    test('a job that rejects is tried again, and given up after its last try', async (t) => {
      const { queue, other } = await open(t, { ...FAST, maxAttempts: 3 });
      const { jobs, handler } = recorder(async () => {
        throw new Error(`no ${jobs.length}`);
      });
      const given: unknown[] = [];
      await queue.work(handler, { onExhausted: async (j, error) => void given.push(j, (error as Error).message) });
      await queue.enqueue(job('a'));
      await isGone(other, job('a'));
      assert.equal(jobs.length, 3);
      assert.deepEqual(given, [job('a'), 'no 3']);
    });

    test('a job that succeeds at its second try is done', async (t) => {
      const { queue } = await open(t, FAST);
      const given: Job[] = [];
      const attempts: (number | undefined)[] = [];
      const { jobs, handler } = recorder(async (j) => {
        attempts.push((await queue.status(j))?.attempts);
        if (jobs.length === 1) throw new Error('not yet');
      });
      await queue.work(handler, { onExhausted: async (j) => void given.push(j) });
      await queue.enqueue(job('a'));
      await isGone(queue, job('a'));
      assert.deepEqual(attempts, [1, 2]);
      assert.deepEqual(given, []);
    });

    test('a job that asks for it is called again at that time, which counts as no try', async (t) => {
      const { queue, other } = await open(t, { ...FAST, maxAttempts: 1 });
      const given: Job[] = [];
      const at: number[] = [];
      const { jobs, handler } = recorder(async () => {
        if (jobs.length > 3) return;
        at.push(Date.now() + 60);
        throw new TryLater(at.at(-1)!);
      });
      const times: number[] = [];
      const timed: typeof handler = async (j, context) => {
        times.push(Date.now());
        await handler(j, context);
      };
      await queue.work(timed, { onExhausted: async (j) => void given.push(j) });
      await queue.enqueue(job('a'));
      await until('it waits', async () => {
        const status = await other.status(job('a'));
        return status?.state === 'waiting' && status.attempts > 0;
      });
      await isGone(other, job('a'));
      assert.equal(jobs.length, 4);
      for (const [i, time] of at.entries()) assert.ok(times[i + 1]! >= time - CLOCK_MS, 'not before its time');
      assert.deepEqual(given, []);
    });

    test('a job that waits for its time can be removed, and holds up nobody', async (t) => {
      const { queue, other } = await open(t, FAST);
      const { ids, handler } = recorder(async ({ id }) => {
        if (id === 'a') throw new TryLater(Date.now() + 60_000);
      });
      await queue.work(handler);
      await queue.enqueue(job('a'));
      await queue.enqueue(job('b'));
      await isGone(other, job('b'));
      assert.deepEqual(ids(), ['a', 'b']);
      assert.equal((await other.status(job('a')))?.state, 'waiting');
      await other.enqueue(job('a'));
      assert.deepEqual(await other.counts(), { waiting: 1, active: 0 });
      assert.equal(await other.cancel(job('a')), 'removed');
      assert.equal(await queue.status(job('a')), undefined);
    });

    test('an onExhausted that rejects does not stop the queue', async (t) => {
      const { queue } = await open(t, { ...FAST, maxAttempts: 1 });
      const { ids, handler } = recorder(async () => {
        throw new Error('no');
      });
      await queue.work(handler, { onExhausted: () => Promise.reject(new Error('nor this')) });
      await queue.enqueue(job('a'));
      await queue.enqueue(job('b'));
      await isGone(queue, job('b'));
      assert.deepEqual(ids(), ['a', 'b']);
      assert.deepEqual(await queue.counts(), { waiting: 0, active: 0 });
    });

    test('close: hands running jobs back, which counts as no try', async (t) => {
      const { queue, other } = await open(t, { ...FAST, maxAttempts: 1 });
      const first = recorder(untilAborted);
      const given: Job[] = [];
      const options = { concurrency: 2, onExhausted: async (j: Job) => void given.push(j) };
      const worker = await queue.work(first.handler, options);
      await queue.enqueue(job('a'));
      await queue.enqueue(job('b'));
      await until('both run', () => first.jobs.length === 2);
      await worker.close();
      assert.deepEqual(
        first.contexts.map(({ signal }) => signal.reason),
        ['shutdown', 'shutdown'],
      );
      assert.deepEqual(await other.counts(), { waiting: 2, active: 0 });
      assert.deepEqual(await other.status(job('a')), { state: 'waiting', attempts: 1 });

      const second = recorder();
      await other.work(second.handler, options);
      await isGone(other, job('a'));
      await isGone(other, job('b'));
      assert.deepEqual(second.ids().toSorted(), ['a', 'b']);
      assert.deepEqual(given, []);
    });

    test('close: ends also with a handler that does not listen', async (t) => {
      const { queue, other } = await open(t, { ...FAST, closeGraceMs: 50 });
      const end = gate();
      const first = recorder(() => end.passed);
      const worker = await queue.work(first.handler);
      await queue.enqueue(job('a'));
      await until('it runs', () => first.jobs.length === 1);
      await worker.close();
      const second = recorder();
      await other.work(second.handler);
      await isGone(other, job('a'));
      assert.deepEqual(second.jobs, [job('a')]);
      end.open();
    });

    test('close: lets a handler finish that is just done, and takes no new job', async (t) => {
      const { queue } = await open(t, FAST);
      const { ids, handler } = recorder((j, context) => untilAborted(j, context).catch(() => {}));
      const worker = await queue.work(handler);
      await queue.enqueue(job('a'));
      await until('it runs', () => ids().length === 1);
      await queue.enqueue(job('b'));
      await worker.close();
      await worker.close();
      assert.equal(await queue.status(job('a')), undefined);
      assert.deepEqual(await queue.status(job('b')), { state: 'waiting', attempts: 0 });
      assert.deepEqual(ids(), ['a']);
    });

    test('close: a cancelled job is not handed back', async (t) => {
      const { queue, other } = await open(t, { ...FAST, closeGraceMs: 50 });
      const end = gate();
      const { contexts, handler } = recorder(() => end.passed);
      const worker = await queue.work(handler);
      await queue.enqueue(job('a'));
      await until('it runs', () => contexts.length === 1);
      assert.equal(await other.cancel(job('a')), 'signalled');
      await until('it is told', () => contexts[0]!.signal.aborted);
      await worker.close();
      assert.equal(await other.status(job('a')), undefined);
      end.open();
    });

    test('check and counts answer; a closed queue is unavailable', async (t) => {
      const { queue } = await open(t, FAST);
      await queue.check();
      assert.deepEqual(await queue.counts(), { waiting: 0, active: 0 });
      await queue.close();
      await assert.rejects(queue.check(), { code: 'queue_unavailable' });
      await assert.rejects(queue.enqueue(job('a')), { code: 'queue_unavailable' });
    });
  });
}
