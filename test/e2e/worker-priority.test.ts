/** Whether a worker lets an API on the same machine go first: on Linux, where each thread has a priority of its own. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { test } from 'node:test';
import { privateRedis } from '../helpers/redis.js';
import { type ServiceProcess, startApi, startWorker } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority;

const prioritiesOf = ({ pid }: ServiceProcess) => {
  const others = readdirSync(`/proc/${pid}/task`).map(Number);
  return {
    main: getPriority(pid),
    others: others.filter((thread) => thread !== pid).map((thread) => getPriority(thread)),
  };
};

test('a worker goes behind the API, with every thread that it has, and before them the one that keeps its locks', {
  skip: process.platform !== 'linux' && 'priorities of threads are for Linux',
}, async (t) => {
  const redis = await privateRedis();
  if ('skip' in redis) return t.skip(redis.skip);
  const env = { EMR_DATA_DIR: temporaryFolder('emr-priority-'), REDIS_URL: redis.url };
  const api = await startApi(env);
  const worker = await startWorker(env);
  t.after(async () => {
    await Promise.all([api.stop(), worker.stop()]);
    await redis.stop();
  });

  const { main, others } = prioritiesOf(worker);
  assert.equal(main, Math.max(getPriority(), PRIORITY_BELOW_NORMAL));
  assert.ok(others.length > 0);
  // Those that the main thread has started since go where it goes.
  assert.ok(
    others.every((priority) => priority >= PRIORITY_BELOW_NORMAL),
    String(others),
  );
  assert.ok(others.includes(PRIORITY_LOW), String(others));
  assert.equal(prioritiesOf(api).main, getPriority());
});
