import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMergeCatalog } from '../../../src/catalog/merges.js';
import { EmrError } from '../../../src/errors.js';
import { createLifecycle } from '../../../src/merge/lifecycle.js';
import { createLocalQueue } from '../../../src/queue/local.js';
import { createFileStore } from '../../../src/store/fs.js';
import type { Store } from '../../../src/store/types.js';
import { NAMESPACE, requestOf } from '../../helpers/services.js';
import { keys, refused } from '../../helpers/stores.js';
import { temporaryFolder } from '../../helpers/temporary.js';

const root = temporaryFolder('emr-attempts-');
const store = createFileStore({ root });

const record = (digest: string) => ({ name: digest, created_at: '', digest, files: [], tensors: [] });
const inputs = { base: record('base'), tasks: [record('one')] };
const artifacts = [{ path: 'model.safetensors', bytes: 5, sha256: '' }];
const resultOf = (attempt: string) => ({ attempt, finished_at: '', seconds: 0, artifacts });

/** A merge with a whole attempt, one that has saved, and one that had only begun to write. */
async function withAttempts(over: Store, name: string) {
  const merges = createMergeCatalog(over, Date.now);
  const request = requestOf({ base: name, tasks: [{ name: 't', checkpoint: 'one' }] });
  const { fact } = await merges.accept(NAMESPACE, request, inputs);
  const prefix = `${NAMESPACE}/merges/${fact.id}/a/`;
  await store.create(`${prefix}whole/model.safetensors`, Buffer.from('bytes'));
  await store.create(`${prefix}died/saved/artifacts/model.safetensors`, Buffer.from('by'));
  await store.openWriter(`${prefix}begun/model.safetensors`, 5);
  const { id } = fact;
  return {
    merges,
    id,
    state: async () => (await merges.outcome(NAMESPACE, id)).state,
    stored: async () => (await keys(store, prefix)).map((key) => key.slice(prefix.length)),
    /** Also what is not an object yet. */
    folders: () => readdir(join(root, prefix)).catch(() => []),
  };
}

/** Of a process that dies, or loses the store, in the moment in which it would remove files. */
const broken: Store = {
  ...store,
  async deletePrefix() {
    throw new EmrError('store_unavailable', 'test');
  },
};

for (const end of ['cancelled', 'failed', 'succeeded'] as const) {
  test(`the reconciler removes what is left of a merge that has ${end}, once`, async () => {
    const { id, state, folders, merges } = await withAttempts(store, `reconciled-${end}`);
    const { cancel, fail } = createMergeCatalog(broken, Date.now);
    if (end === 'succeeded') await merges.succeed(NAMESPACE, id, resultOf('whole'));
    else {
      const ending = () => (end === 'failed' ? fail(NAMESPACE, id, new Error('no')) : cancel(NAMESPACE, id));
      await refused('store_unavailable', ending);
    }
    assert.equal(await state(), end);
    assert.equal((await folders()).length, 3);

    const queue = createLocalQueue();
    const swept: string[] = [];
    const sweep = async (namespace: string, run: string) => {
      swept.push(run);
      await merges.sweep(namespace, run);
    };
    const { reconcile } = createLifecycle('merge', { ...merges, sweep }, queue);
    await reconcile(NAMESPACE);
    assert.equal((await folders()).length, 3, 'whoever ended it may be at it');
    await reconcile(NAMESPACE);
    assert.deepEqual(await folders(), end === 'succeeded' ? ['whole'] : []);
    await reconcile(NAMESPACE);
    assert.equal(swept.filter((run) => run === id).length, 1, 'a pass goes over all merges, and is repeated for ever');
    await queue.close();
  });
}

test('a merge that is cancelled once more is rid of what a cancel that was broken off left', async () => {
  const { id, state, folders, merges } = await withAttempts(store, 'broken-off');
  await refused('store_unavailable', () => createMergeCatalog(broken, Date.now).cancel(NAMESPACE, id));
  assert.equal(await state(), 'cancelled');
  assert.equal((await folders()).length, 3);
  const queue = createLocalQueue();
  await createLifecycle('merge', merges, queue).cancel(NAMESPACE, id);
  assert.deepEqual(await folders(), []);
  await queue.close();
});

for (const end of ['fail', 'cancel'] as const) {
  test(`${end} leaves nothing of any attempt`, async () => {
    const { merges, id, folders } = await withAttempts(store, end);
    assert.equal((await folders()).length, 3);
    const ended = end === 'fail' ? merges.fail(NAMESPACE, id, new Error('no')) : merges.cancel(NAMESPACE, id);
    assert.equal(await ended, true);
    assert.deepEqual(await folders(), []);
  });

  test(`${end} after the result was written leaves the artifacts that it names`, async () => {
    const { merges, id, state, folders, stored } = await withAttempts(store, `${end}-late`);
    assert.equal(await merges.succeed(NAMESPACE, id, resultOf('whole')), true);
    await (end === 'fail' ? merges.fail(NAMESPACE, id, new Error('no')) : merges.cancel(NAMESPACE, id));
    assert.equal(await state(), 'succeeded');
    assert.deepEqual(await stored(), ['whole/model.safetensors']);
    assert.deepEqual(await folders(), ['whole']);
  });
}

test('a result whose artifacts are gone is taken back by whoever takes the merge up next', async () => {
  const { merges, id, state, stored } = await withAttempts(store, 'settled');
  assert.equal(await merges.succeed(NAMESPACE, id, resultOf('whole')), true);
  assert.equal((await merges.settle(NAMESPACE, id)).state, 'succeeded');
  assert.deepEqual(await stored(), ['whole/model.safetensors']);
  await store.deletePrefix(`${NAMESPACE}/merges/${id}/a/`);
  assert.equal((await merges.settle(NAMESPACE, id)).state, 'open');
  assert.equal(await state(), 'open');
});

test('a sweep takes nothing of a merge that is open', async () => {
  const { merges, id, folders } = await withAttempts(store, 'open');
  await merges.sweep(NAMESPACE, id);
  assert.equal((await folders()).length, 3);
});

/** The store, with something that happens when a merge has been found cancelled and its attempts are removed. */
function removing(when: 'before' | 'after', happens: () => Promise<void>): Store {
  return {
    ...store,
    async deletePrefix(prefix, options) {
      if (when === 'before') await happens();
      await store.deletePrefix(prefix, options);
      if (when === 'after') await happens();
    },
  };
}

for (const when of ['before', 'after'] as const) {
  test(`a result that is written ${when} the removal of its artifacts does not stay`, async () => {
    let won: boolean | undefined;
    const cancelling = removing(when, async () => {
      won = await committing.merges.succeed(NAMESPACE, committing.id, resultOf('whole'));
    });
    const committing = await withAttempts(store, `race-${when}`);
    const { cancel } = createMergeCatalog(cancelling, Date.now);
    await cancel(NAMESPACE, committing.id);
    assert.equal(won, when === 'before', 'who writes it first has found all of it');
    assert.equal(await committing.state(), 'cancelled');
    assert.deepEqual(await committing.folders(), []);
  });
}
