/** Whether a worker lets an API on the same machine go first: on Linux, where each thread has a priority of its own. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { test } from 'node:test';
import { privateRedis } from '../helpers/redis.js';
import { type ServiceProcess, startApi, startWorker } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';

const prioritiesOf = ({ pid }: ServiceProcess) =>
  readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)));

test('a worker goes behind the API, with every thread that it has', {
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

  const lowered = Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL);
  const priorities = prioritiesOf(worker);
  assert.ok(priorities.length > 1);
  assert.deepEqual(new Set(priorities), new Set([lowered]));
  assert.deepEqual(new Set(prioritiesOf(api)), new Set([getPriority()]));
});
