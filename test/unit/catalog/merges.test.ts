import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createMergeCatalog } from '../../../src/catalog/merges.js';
import type { CheckpointRecord } from '../../../src/catalog/records.js';
import { endFailed } from '../../../src/catalog/runs.js';
import { EmrError } from '../../../src/errors.js';
import { mergeRequest } from '../../../src/merge/request.js';
import { createFileStore } from '../../../src/store/fs.js';
import type { Store } from '../../../src/store/types.js';
import { hookedStore } from '../../helpers/hooked-store.js';
import { keys, refused } from '../../helpers/stores.js';
import { until } from '../../helpers/until.js';

const root = await mkdtemp(join(tmpdir(), 'emr-catalog-'));
after(() => rm(root, { recursive: true, force: true }));
const store = createFileStore({ root });
let time = Date.UTC(2026, 0, 1);
const merges = createMergeCatalog(store, () => time++);

const checkpoint = (digest: string): CheckpointRecord => ({
  name: digest,
  created_at: '',
  digest,
  files: [],
  tensors: [],
});
const inputs = { base: checkpoint('base'), tasks: [checkpoint('one')] };
const request = (extra: object = {}) =>
  mergeRequest.parse({ base: 'base', tasks: [{ name: 't', checkpoint: 'one' }], ...extra });
async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
const result = { attempt: 'x', finished_at: '', seconds: 0, artifacts: [] };

test('the id follows from the request without its name, and from the digests of the inputs', async () => {
  const id = await merges.identify('ids', request(), inputs);
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(await merges.identify('ids', request({ name: 'alias' }), inputs), id);
  assert.equal(await merges.identify('ids', request({ strict: false, method: { type: 'emr' } }), inputs), id);
  for (const [other, from] of [
    [request({ strict: true }), inputs],
    [request({ exclude: [] }), inputs],
    [request(), { ...inputs, base: checkpoint('another') }],
    [request(), { ...inputs, tasks: [checkpoint('another')] }],
  ] as const) {
    assert.notEqual(await merges.identify('ids', other, from), id);
  }
  assert.deepEqual(await collect(merges.all('ids')), [], 'nothing was written');
});

test('of outcomes that race the first of a kind is kept, and a result counts above all', async () => {
  const { fact } = await merges.accept('race', request(), inputs);
  assert.deepEqual(await merges.outcome('race', fact.id), { state: 'open', opening: 0 });
  assert.equal(await merges.cancel('race', fact.id), true);
  assert.equal(await merges.cancel('race', fact.id), false);
  assert.equal((await merges.outcome('race', fact.id)).state, 'cancelled');
  assert.equal(await merges.fail('race', fact.id, new EmrError('disk_full', 'No room.')), true);
  const failed = await merges.outcome('race', fact.id);
  assert.equal(failed.state === 'failed' && failed.error.code, 'disk_full');
  assert.equal(await merges.succeed('race', fact.id, result), true);
  assert.equal(await merges.succeed('race', fact.id, { ...result, attempt: 'late' }), false);
  const ended = await merges.outcome('race', fact.id);
  assert.equal(ended.state === 'succeeded' && ended.result.attempt, 'x');
});

test('a merge that failed or was cancelled is opened again; one that succeeded is not', async () => {
  const accept = () => merges.accept('again', request(), inputs);
  const { fact, created } = await accept();
  assert.equal(created, true);
  assert.equal((await accept()).created, false);
  const ends = [merges.cancel, (ns: string, id: string, n?: number) => merges.fail(ns, id, new Error('x'), n)];
  for (const [opening, end] of [...ends, ...ends].entries()) {
    await end('again', fact.id, opening);
    const again = await accept();
    assert.deepEqual([again.created, again.fact, again.outcome], [true, fact, { state: 'open', opening: opening + 1 }]);
    assert.deepEqual(await merges.outcome('again', fact.id), again.outcome);
    assert.equal((await accept()).created, false);
  }
  await merges.succeed('again', fact.id, result);
  assert.deepEqual([(await accept()).created, (await accept()).outcome.state], [false, 'succeeded']);
});

test('what an earlier opening comes to does not end a later one, but a result does', async () => {
  const { fact } = await merges.accept('late', request(), inputs);
  await merges.cancel('late', fact.id);
  const { outcome } = await merges.accept('late', request(), inputs);
  await merges.cancel('late', fact.id);
  await merges.fail('late', fact.id, new Error('of a worker that was late'));
  assert.deepEqual(await merges.outcome('late', fact.id), outcome);
  await merges.succeed('late', fact.id, result);
  assert.equal((await merges.outcome('late', fact.id)).state, 'succeeded');
});

test('a merge that is asked for while it is deleted is refused, and accepted when it is gone', async () => {
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const slow: Store = {
    ...store,
    async deletePrefix(...args) {
      await held;
      return store.deletePrefix(...args);
    },
  };
  const { fact } = await merges.accept('going', request({ name: 'going' }), inputs);
  await merges.cancel('going', fact.id);
  const deleting = createMergeCatalog(slow, () => time++).delete('going', fact);
  await until('the request is gone', async () => (await merges.find('going', fact.id)) === undefined);
  await refused('being_deleted', () => merges.accept('going', request(), inputs));
  await refused('being_deleted', () => merges.delete('going', fact));
  await refused('being_deleted', () => merges.accept('going', request(), inputs));
  goOn();
  await deleting;
  assert.equal((await merges.accept('going', request(), inputs)).outcome.state, 'open');
  assert.ok(await merges.find('going', fact.id));
});

test('a deletion that was broken off is ended by who asks for the merge again', async () => {
  const broken: Store = {
    ...store,
    async deletePrefix() {
      throw new EmrError('store_unavailable', 'test');
    },
  };
  const { fact } = await merges.accept('broken', request(), inputs);
  await merges.cancel('broken', fact.id);
  await refused('store_unavailable', () => createMergeCatalog(broken, () => time++).delete('broken', fact));
  await refused('being_deleted', () => merges.accept('broken', request(), inputs));
  time += 3_600_000;
  assert.deepEqual((await merges.accept('broken', request(), inputs)).outcome, { state: 'open', opening: 0 });
});

test('a deletion that failed before anything was gone can be repeated at once', async () => {
  const { fact } = await merges.accept('again', request(), inputs);
  await merges.cancel('again', fact.id);
  const broken: Store = {
    ...store,
    async delete(key) {
      if (key.endsWith('/request.json')) throw new EmrError('store_unavailable', 'test');
      await store.delete(key);
    },
  };
  await refused('store_unavailable', () => createMergeCatalog(broken, () => time++).delete('again', fact));
  assert.ok(await merges.find('again', fact.id));
  await merges.delete('again', fact);
  assert.deepEqual(await keys(store, 'again/'), []);
});

/** A deletion whose process dies between the removal of the request and that of the rest. */
async function brokenOff(namespace: string) {
  const { fact } = await merges.accept(namespace, request(), inputs);
  await merges.cancel(namespace, fact.id);
  const died: Store = { ...store, deletePrefix: async () => {} };
  await createMergeCatalog(died, () => time++).delete(namespace, fact);
  return fact;
}

test('what is left of a deletion that was broken off is removed, and nothing of a merge', async () => {
  const { id } = await brokenOff('remains');
  await merges.resumeRemoval('remains', id);
  assert.notDeepEqual(await keys(store, 'remains/'), [], 'somebody may be removing it still');
  time += 3_600_000;
  await merges.resumeRemoval('remains', id);
  assert.deepEqual(await keys(store, 'remains/'), []);
  // Files that nobody has begun to remove: a backup that is being copied back, for example.
  const copied = `remains/merges/${id}/a/1/model.safetensors`;
  await store.create(copied, Buffer.from('bytes'));
  await merges.resumeRemoval('remains', id);
  assert.deepEqual(await keys(store, 'remains/'), [copied]);
});

test('of several who end a deletion that was broken off one does, and nothing is lost of who asks for the merge then', async () => {
  const { id } = await brokenOff('several');
  time += 3_600_000;
  // The slower one has found an old mark, and is about to make the next when the other has ended and all is as new.
  const slow = hookedStore(store, async ({ op, key }) => {
    if (op === 'create' && key.endsWith('/removing/2.json')) await merges.accept('several', request(), inputs);
  });
  await createMergeCatalog(slow, () => time++).resumeRemoval('several', id);
  assert.ok(await merges.find('several', id));
  assert.equal((await merges.accept('several', request(), inputs)).outcome.state, 'open', 'no mark has stayed');
});

test('a mark that stayed on a merge of which nothing was removed costs it nothing', async () => {
  const { fact } = await merges.accept('stayed', request(), inputs);
  await merges.succeed('stayed', fact.id, result);
  const broken: Store = {
    ...store,
    delete: async () => Promise.reject(new EmrError('store_unavailable', 'test')),
    stat: async () => Promise.reject(new EmrError('store_unavailable', 'test')),
  };
  await refused('store_unavailable', () => createMergeCatalog(broken, () => time++).delete('stayed', fact));
  await refused('being_deleted', () => merges.accept('stayed', request(), inputs));
  time += 3_600_000;
  const { created, outcome } = await merges.accept('stayed', request(), inputs);
  assert.deepEqual([created, outcome.state], [false, 'succeeded']);
  await merges.delete('stayed', fact);
  assert.deepEqual(await keys(store, 'stayed/'), []);
});

test("folders that are nobody's runs are left alone", async () => {
  const theirs = 'analytics/merges/nightly/table.csv';
  await store.create(theirs, Buffer.from('bytes'));
  const seen: string[] = [];
  await merges.eachId('analytics', async (id) => void seen.push(id));
  assert.deepEqual(seen, []);
});

test('of a merge that is opened again and deleted in one moment, one of the two is refused', async () => {
  for (const first of ['open', 'delete'] as const) {
    const { fact } = await merges.accept(first, request(), inputs);
    await merges.cancel(first, fact.id);
    const opening = `${first}/merges/${fact.id}/opened/1.json`;
    let isIn = false;
    const hooked = hookedStore(store, async ({ op, key }) => {
      const isTurn =
        first === 'open' ? op === 'create' && key.includes('/removing/') : op === 'create' && key === opening;
      if (!isTurn || isIn) return;
      isIn = true;
      if (first === 'open') await merges.accept(first, request(), inputs);
      else await merges.delete(first, fact);
    });
    const late = createMergeCatalog(hooked, () => time++);
    if (first === 'open') {
      await refused('merge_running', () => late.delete(first, fact));
      assert.equal((await merges.outcome(first, fact.id)).state, 'open');
      assert.deepEqual((await merges.accept(first, request(), inputs)).created, false, 'no mark has stayed');
    } else {
      await refused('being_deleted', () => late.accept(first, request(), inputs));
      assert.equal(await merges.find(first, fact.id), undefined);
    }
    assert.ok(isIn);
  }
});

test('an attempt at a merge that was deleted since does not end the one that was asked for again', async () => {
  const { fact } = await merges.accept('twice', request(), inputs);
  await merges.cancel('twice', fact.id);
  await merges.delete('twice', fact);
  const { fact: again } = await merges.accept('twice', request(), inputs);
  const context = { signal: new AbortController().signal, progress() {} };
  await endFailed(merges, { namespace: 'twice' }, fact, context, new EmrError('source_changed', 'test'));
  assert.equal((await merges.outcome('twice', again.id)).state, 'open');
  await endFailed(merges, { namespace: 'twice' }, again, context, new EmrError('source_changed', 'test'));
  assert.equal((await merges.outcome('twice', again.id)).state, 'failed');
});

test('one record that cannot be read does not stop a look at the others', async () => {
  const { fact } = await merges.accept('rotten', request(), inputs);
  const rotten = '0'.repeat(32);
  await store.create(`rotten/merges/${rotten}/request.json`, Buffer.from('{'));
  const seen: string[] = [];
  const look = async (id: string) => void ((await merges.find('rotten', id)) && seen.push(id));
  await refused('artifact_corrupt', () => merges.eachId('rotten', look));
  assert.deepEqual(seen, [fact.id]);
});

test('a failure whose code only a newer version knows is a failure all the same', async () => {
  const { fact } = await merges.accept('newer', request(), inputs);
  const error = { code: 'from_the_future', detail: 'why', facts: {}, failed_at: '' };
  await store.create(`newer/merges/${fact.id}/error.json`, Buffer.from(JSON.stringify(error)));
  const found = await merges.outcome('newer', fact.id);
  assert.deepEqual(found.state === 'failed' && found.error, { ...error, code: 'internal' });
});

test('namespaces do not see each other', async () => {
  const { fact } = await merges.accept('mine', request({ name: 'shared' }), inputs);
  await refused('unknown_merge', () => merges.get('yours', fact.id));
  await refused('unknown_merge', () => merges.get('yours', 'shared'));
  await merges.accept('yours', request({ name: 'shared', strict: true }), inputs);
  assert.equal((await merges.get('mine', 'shared')).id, fact.id);
});

test('a name is free again when its merge is gone', async () => {
  const { fact } = await merges.accept('names', request({ name: 'n' }), inputs);
  const other = request({ name: 'n', strict: true });
  await refused('name_taken', () => merges.identify('names', other, inputs));
  await refused('name_taken', () => merges.accept('names', other, inputs));
  await refused('merge_running', () => merges.delete('names', fact));
  await merges.cancel('names', fact.id);
  await merges.delete('names', fact);
  const { fact: second } = await merges.accept('names', other, inputs);
  assert.equal((await merges.get('names', 'n')).id, second.id);
  assert.equal((await merges.get('names', second.id)).id, second.id);
});

test('a name moves on from a merge that failed or was cancelled, never from one that is open or succeeded', async () => {
  const asked = (layer: number) => request({ name: 'moving', exclude: [`layer.${layer}`] });
  const { fact: first } = await merges.accept('moving', asked(1), inputs);
  await merges.fail('moving', first.id, new EmrError('disk_full', 'No room.'));
  const { fact: second } = await merges.accept('moving', asked(2), inputs);
  assert.equal((await merges.get('moving', 'moving')).id, second.id);
  assert.deepEqual(
    [await merges.nameOf('moving', first), await merges.nameOf('moving', second)],
    [undefined, 'moving'],
  );
  await refused('name_taken', () => merges.accept('moving', asked(1), inputs));
  await merges.cancel('moving', second.id);
  const { fact: third } = await merges.accept('moving', asked(3), inputs);
  await merges.delete('moving', second);
  assert.equal((await merges.get('moving', 'moving')).id, third.id);
  await merges.succeed('moving', third.id, result);
  await refused('name_taken', () => merges.accept('moving', asked(4), inputs));
  await refused('name_taken', () => merges.identify('moving', asked(4), inputs));
});
