/** A merge that is cancelled, handed back or fails at any step leaves nothing but the fact that says so. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { createMergeCatalog } from '../../src/catalog/merges.js';
import { EmrError } from '../../src/errors.js';
import { createMergeHandler } from '../../src/merge/execute.js';
import { createLocalQueue } from '../../src/queue/local.js';
import type { CancelReason } from '../../src/queue/types.js';
import type { Services } from '../../src/services.js';
import { startWorker } from '../../src/worker.js';
import { hookedStore, type WriteStep } from '../helpers/hooked-store.js';
import { folderOf } from '../helpers/random-checkpoint.js';
import { f32 } from '../helpers/safetensors-file.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { keys, readAll } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const BASE = [f32('w', Array(70_001).fill(0.5)), f32('b', [1, 2, 3]), f32('head', [0])];
const TUNED = (t: number) => [f32('w', Array(70_001).fill(0.5 + t)), f32('b', [1, 2, t]), f32('head', [t, t])];
const REQUEST = requestOf({
  base: 'base',
  tasks: [
    { name: 'one', checkpoint: 'tuned-1' },
    { name: 'two', checkpoint: 'tuned-2' },
  ],
});

const folder = temporaryFolder('emr-faults-');

/** Runs `body` with three checkpoints and one accepted merge of them, in a store of its own. */
async function withMerge(name: string, body: (services: Services, id: string) => Promise<void>): Promise<void> {
  await withServices({ kind: 'file', root: join(folder, name) }, async (services) => {
    const side = { 'config.json': '{}' };
    await addCheckpoint(services, 'base', folderOf(BASE, side));
    for (const t of [1, 2]) await addCheckpoint(services, `tuned-${t}`, folderOf(TUNED(t), side));
    await body(services, (await services.submitter.submit(NAMESPACE, REQUEST)).fact.id);
  });
}

type Hook = (step: WriteStep, stop: AbortController) => void | Promise<void>;

function handlerWith(services: Services, hook: (step: WriteStep) => void | Promise<void>) {
  const store = hookedStore(services.store, hook);
  const merges = createMergeCatalog(store, Date.now);
  return createMergeHandler({ ...services, store, merges, threads: 1, verify: 'sampled', now: Date.now });
}

/** One attempt at the merge as a worker makes it, with a say before each step of writing. */
async function attempt(services: Services, id: string, hook: Hook = () => {}): Promise<void> {
  const controller = new AbortController();
  const handler = handlerWith(services, (step) => hook(step, controller));
  await handler({ kind: 'merge', namespace: NAMESPACE, id }, { signal: controller.signal, progress: () => {} });
}

/** Keys below the merge, and what half-written files there are besides. */
async function leftovers({ store }: Services, name: string, id: string): Promise<string[]> {
  const prefix = `${NAMESPACE}/merges/${id}/`;
  const stored = (await keys(store, prefix)).map((key) => key.slice(prefix.length));
  const disk = await readdir(join(folder, name), { recursive: true });
  return [...stored, ...disk.filter((path) => path.includes('.tmp'))];
}

const disk_full = () => new EmrError('disk_full', 'The store has no room left.');

test('a store that is full at any step of a merge: nothing is left, and the next attempt succeeds', async () => {
  await withMerge('every-step', async (services, id) => {
    let steps = 0;
    // The dry run counts the steps; it must not commit, so that the merge stays open.
    const counted = attempt(services, id, ({ op }) => {
      if (op === 'create') throw disk_full();
      steps++;
    });
    await assert.rejects(counted, { code: 'disk_full' });
    assert.ok(steps > 30, `${steps} steps`);
    for (let failing = 1; failing <= steps; failing++) {
      let step = 0;
      const failed = attempt(services, id, () => {
        if (++step >= failing) throw disk_full();
      });
      await assert.rejects(failed, { code: 'disk_full' }, `step ${failing}`);
      assert.deepEqual(await leftovers(services, 'every-step', id), ['request.json'], `step ${failing}`);
    }
    await attempt(services, id);
    await requireWhole(services, id);
  });
});

/** The merge has succeeded, its one attempt has every artifact, and every artifact its bytes. */
async function requireWhole({ merges, store }: Services, id: string): Promise<void> {
  const outcome = await merges.outcome(NAMESPACE, id);
  assert.ok(outcome.state === 'succeeded', outcome.state);
  const prefix = `${NAMESPACE}/merges/${id}/a/`;
  const expected = outcome.result.artifacts.map(({ path }) => `${prefix}${outcome.result.attempt}/${path}`);
  assert.deepEqual(await keys(store, prefix), expected.sort());
  for (const { path, bytes } of outcome.result.artifacts) {
    assert.equal((await readAll(store, `${prefix}${outcome.result.attempt}/${path}`)).byteLength, bytes, path);
  }
}

for (const reason of ['cancelled', 'shutdown'] satisfies CancelReason[]) {
  for (const when of ['tasks/one/mask', 'tasks/two/extras', 'tasks/two/files', 'report.json']) {
    test(`${reason} while ${when} is written leaves nothing`, async () => {
      const name = `${reason}-${when.replaceAll('/', '-')}`;
      await withMerge(name, async (services, id) => {
        const ended = attempt(services, id, ({ op, key }, stop) => {
          if (op === 'write' && key.includes(when)) stop.abort(reason);
        });
        if (reason === 'cancelled') {
          await ended;
          assert.deepEqual(await leftovers(services, name, id), ['cancelled.json', 'request.json']);
        } else {
          await assert.rejects(ended);
          assert.deepEqual(await leftovers(services, name, id), ['request.json']);
        }
      });
    });
  }
}

test('what ends a merge is written after its files are gone', async () => {
  await withMerge('order', async (services, id) => {
    let left: string[] | undefined;
    await attempt(services, id, async ({ op, key }, stop) => {
      if (key.endsWith('report.json')) stop.abort('cancelled');
      if (op === 'create' && key.endsWith('cancelled.json')) left = await leftovers(services, 'order', id);
    });
    assert.deepEqual(left, ['request.json']);
  });
});

test('a fault that a retry may mend is tried again, and the merge succeeds', async () => {
  await withMerge('retried', async (services, id) => {
    let attempts = 0;
    const queue = createLocalQueue({ backoffMs: 1 });
    const runMerge = handlerWith(services, ({ op, key }) => {
      if (op === 'open' && key.endsWith('unified.safetensors') && ++attempts < 3) throw disk_full();
    });
    await startWorker({ ...services, queue, runMerge }, pino({ level: 'silent' }));
    await queue.enqueue({ kind: 'merge', namespace: NAMESPACE, id });
    await until('it has ended', async () => (await services.merges.outcome(NAMESPACE, id)).state !== 'open');
    await queue.close();
    assert.equal(attempts, 3);
    await requireWhole(services, id);
  });
});

test('a fault that stays ends the merge as failed with its code, after three attempts, and leaves nothing', async () => {
  await withMerge('exhausted', async (services, id) => {
    let attempts = 0;
    const queue = createLocalQueue({ backoffMs: 1 });
    const runMerge = handlerWith(services, ({ op, key }) => {
      if (op !== 'finish' || !key.endsWith('report.json')) return;
      attempts++;
      throw disk_full();
    });
    await startWorker({ ...services, queue, runMerge }, pino({ level: 'silent' }));
    await queue.enqueue({ kind: 'merge', namespace: NAMESPACE, id });
    await until('it has ended', async () => (await services.merges.outcome(NAMESPACE, id)).state !== 'open');
    await queue.close();
    assert.equal(attempts, 3);
    const outcome = await services.merges.outcome(NAMESPACE, id);
    assert.ok(outcome.state === 'failed' && outcome.error.code === 'disk_full', JSON.stringify(outcome));
    assert.deepEqual(await leftovers(services, 'exhausted', id), ['error.json', 'request.json']);
  });
});

for (const answer of ['lost', 'repeated'] as const) {
  test(`a commit whose answer is ${answer} keeps the artifacts that it committed`, async () => {
    await withMerge(`commit-${answer}`, async (services, id) => {
      const ended = attempt(services, id, async ({ op, key, bytes }) => {
        if (!key.endsWith('result.json')) return;
        if (answer === 'lost' && op === 'created') throw new EmrError('store_unavailable', 'The connection was reset.');
        // A client of S3 that repeats the request then finds that the record exists.
        if (answer === 'repeated' && op === 'create') await services.store.create(key, bytes!);
      });
      if (answer === 'lost') await assert.rejects(ended, { code: 'store_unavailable' });
      else await ended;
      await requireWhole(services, id);
      await attempt(services, id);
      await requireWhole(services, id);
    });
  });
}

test('a weight that is not finite fails the merge once, names where it is, and leaves nothing', async () => {
  await withMerge('non-finite', async (services) => {
    const values = Array(70_001).fill(0.5).fill(Number.NaN, 66_000, 66_001);
    await addCheckpoint(services, 'broken', folderOf([f32('w', values), f32('b', [1, 2, 3])]));
    const request = requestOf({ ...REQUEST, tasks: [...REQUEST.tasks, { name: 'three', checkpoint: 'broken' }] });
    const { fact } = await services.submitter.submit(NAMESPACE, request);
    await attempt(services, fact.id);
    const outcome = await services.merges.outcome(NAMESPACE, fact.id);
    assert.ok(outcome.state === 'failed', outcome.state);
    assert.equal(outcome.error.code, 'non_finite_weight');
    assert.deepEqual(outcome.error.facts, { checkpoint: 'broken', task: 'three', tensor: 'w', index: 66_000 });
    assert.deepEqual(await leftovers(services, 'non-finite', fact.id), ['error.json', 'request.json']);
  });
});

test('a checkpoint that was replaced since fails the merge', async () => {
  await withMerge('replaced', async (services, id) => {
    await services.checkpoints.delete(NAMESPACE, 'tuned-2');
    await addCheckpoint(services, 'tuned-2', folderOf(TUNED(5)));
    await attempt(services, id);
    const outcome = await services.merges.outcome(NAMESPACE, id);
    assert.ok(outcome.state === 'failed' && outcome.error.code === 'checkpoint_changed', JSON.stringify(outcome));
    assert.deepEqual(await leftovers(services, 'replaced', id), ['error.json', 'request.json']);
  });
});

test('two workers that run one merge at the same time leave one whole attempt', async () => {
  await withMerge('twice', async (services, id) => {
    await services.store.create(`${NAMESPACE}/merges/${id}/a/died/unified.safetensors`, Buffer.from('half'));
    await Promise.all([attempt(services, id), attempt(services, id)]);
    await requireWhole(services, id);
  });
});

for (const end of ['cancelled', 'error'] as const) {
  test(`a merge that ended with ${end}.json has nothing of workers that died`, async () => {
    await withMerge(`died-${end}`, async (services, id) => {
      const died = `${NAMESPACE}/merges/${id}/a/died/unified.safetensors`;
      const left = [`${end}.json`, 'request.json'];
      await services.store.create(died, Buffer.from('half'));
      await attempt(services, id, ({ key }, stop) => {
        if (!key.endsWith('report.json')) return;
        if (end === 'error') throw new EmrError('too_large', 'It is too large.');
        stop.abort('cancelled');
      });
      assert.deepEqual(await leftovers(services, `died-${end}`, id), left);
      // Its worker died before it had removed all, and the queue hands the merge out again.
      await services.store.create(died, Buffer.from('half'));
      await attempt(services, id);
      assert.deepEqual(await leftovers(services, `died-${end}`, id), left);
    });
  });
}

test('an attempt that goes on after its merge was cancelled elsewhere leaves nothing, and the merge cancelled', async () => {
  await withMerge('zombie', async (services, id) => {
    await attempt(services, id, async ({ op, key }) => {
      if (op === 'finish' && key.endsWith('report.json')) await services.merges.cancel(NAMESPACE, id);
    });
    assert.deepEqual(await leftovers(services, 'zombie', id), ['cancelled.json', 'request.json']);
  });
});
