/** Webhooks where merges run in worker processes, over Redis and TLS: what a worker that dies or a flushed Redis changes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Redis } from 'ioredis';
import type { MergeView } from '../../src/api/schemas/merge.js';
import { apiClient } from '../helpers/api-client.js';
import { selfSigned } from '../helpers/certificates.js';
import { family, singleFile } from '../helpers/model-files.js';
import { type Answer, startReceiver } from '../helpers/receiver.js';
import { privateRedis } from '../helpers/redis.js';
import { startApi, startWorker } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const folder = temporaryFolder('emr-webhooks-');
const redis = await privateRedis();
after(() => ('skip' in redis ? undefined : redis.stop()));
const skip = 'skip' in redis ? redis.skip : false;

const status =
  (code: number): Answer =>
  (_call, response) =>
    void response.writeHead(code).end();

test('a webhook outlives the worker that was calling, and all that Redis knew', { skip }, async (t) => {
  assert.ok(!('skip' in redis));
  const certificate = selfSigned('IP:127.0.0.1');
  const authority = join(folder, 'authority.pem');
  await writeFile(authority, certificate.cert);
  let answer: Answer = status(503);
  const receiver = await startReceiver((call, response) => answer(call, response), { tls: certificate });
  t.after(receiver.close);
  const env = {
    EMR_DATA_DIR: join(folder, 'data'),
    REDIS_URL: redis.url,
    EMR_THREADS: '1',
    EMR_LOCK_SECONDS: '1',
    EMR_RECONCILE_SECONDS: '1',
    EMR_OUTBOUND_HOSTS: `127.0.0.1:${receiver.port}`,
    EMR_OUTBOUND_NETWORKS: '127.0.0.1/32',
    EMR_WEBHOOK_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
    EMR_WEBHOOK_WAIT_SECONDS: '0.3',
    NODE_EXTRA_CA_CERTS: authority,
  };
  const [api, first] = await Promise.all([startApi(env), startWorker(env)]);
  t.after(() => api.stop());
  const client = apiClient(api.url);
  const { base, tasks } = family(2);
  await client.upload('base', Object.entries(singleFile(base)) as [string, Uint8Array][]);
  for (const [i, one] of tasks.entries()) {
    await client.upload(`t${i}`, Object.entries(singleFile(one)) as [string, Uint8Array][]);
  }
  const ask = (method: object) =>
    client.post<MergeView>('/v1/merges', {
      base: 'base',
      tasks: tasks.map((_, i) => ({ name: `t${i}`, checkpoint: `t${i}` })),
      method,
      webhook: { url: `https://127.0.0.1:${receiver.port}/in` },
    });
  const delivered = (id: string) =>
    until('it is delivered', async () => {
      const { webhooks } = await client.get<MergeView>(`/v1/merges/${id}`);
      return webhooks?.[0]?.state === 'delivered' ? webhooks[0] : undefined;
    });
  const ids = () => receiver.calls.map(({ headers }) => headers['webhook-id']);

  // Redis forgets the job between two tries: the attempts that were made count on.
  const flushed = await ask({ type: 'average' });
  await until('it was tried', () => receiver.calls.length > 0);
  const tool = new Redis(redis.url);
  t.after(() => tool.disconnect());
  await tool.flushall();
  answer = status(204);
  const told = await delivered(flushed.id);
  assert.ok(told.attempts >= 2);
  assert.equal(receiver.calls.length, told.attempts);
  assert.deepEqual(new Set(ids()), new Set([told.delivery]));

  // The worker dies while the receiver has not answered yet: another one calls again, with the same id.
  receiver.calls.length = 0;
  answer = () => {};
  const orphaned = await ask({ type: 'task_arithmetic', lambda: 0.5 });
  await until('it is called', () => receiver.calls.length > 0);
  await first.stop('SIGKILL');
  answer = status(200);
  const second = await startWorker(env);
  t.after(() => second.stop());
  const again = await delivered(orphaned.id);
  assert.equal(again.attempts, 1, 'the attempt that was cut off was never written down');
  assert.deepEqual(ids(), [again.delivery, again.delivery]);
  await until('the second worker says that it did', () =>
    second.lines.some((line) => line.includes('a receiver was told')),
  );
  assert.ok(![...api.lines, ...second.lines].join('\n').includes(env.EMR_WEBHOOK_SECRET.slice(6)));
});
