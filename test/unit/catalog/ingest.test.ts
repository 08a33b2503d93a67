import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckpointCatalog, createCheckpointCatalog } from '../../../src/catalog/checkpoints.js';
import { createIngest } from '../../../src/catalog/ingest.js';
import { createSources } from '../../../src/catalog/sources.js';
import { createUploads, type Uploads } from '../../../src/catalog/uploads.js';
import { DEFAULT_LIMITS } from '../../../src/checkpoint/limits.js';
import { createFileStore } from '../../../src/store/fs.js';
import type { Store } from '../../../src/store/types.js';
import { hookedStore } from '../../helpers/hooked-store.js';
import { f32, safetensorsFile } from '../../helpers/safetensors-file.js';
import { chunks, keys, refused } from '../../helpers/stores.js';
import { temporaryFolder } from '../../helpers/temporary.js';

const NAMESPACE = 'default';
const store = createFileStore({ root: temporaryFolder('emr-ingest-') });
const model = safetensorsFile([f32('w', [1, 2, 3])]);

function uploadsOver(over: Store): Uploads {
  const checkpoints = createCheckpointCatalog(over);
  const ingest = createIngest({
    store: over,
    sources: createSources(over),
    checkpoints,
    limits: DEFAULT_LIMITS,
    now: Date.now,
  });
  return createUploads({ store: over, ingest, maxBytes: 2 ** 20, now: Date.now });
}

async function requireNothing(checkpoints: CheckpointCatalog, name: string): Promise<void> {
  assert.equal(await checkpoints.find(NAMESPACE, name), undefined);
  assert.deepEqual(await keys(store, `${NAMESPACE}/checkpoints/${name}/`), []);
}

test('a checkpoint that is deleted before it is recorded is refused, and nothing is left', async () => {
  const checkpoints = createCheckpointCatalog(store);
  const hooked = hookedStore(store, async ({ op, key }) => {
    if (op === 'create' && key.endsWith('/checkpoint.json')) await checkpoints.delete(NAMESPACE, 'before');
  });
  const uploads = uploadsOver(hooked);
  await uploads.putFile(NAMESPACE, 'before', 'model.safetensors', chunks(model, 100));
  const { facts } = await refused('upload_incomplete', () => uploads.complete(NAMESPACE, 'before'));
  assert.deepEqual(facts, { file: 'model.safetensors' });
  await requireNothing(checkpoints, 'before');
});

test('a checkpoint that is recorded while its files are deleted does not stay', async () => {
  const uploads = uploadsOver(store);
  const deleting = createCheckpointCatalog({
    ...store,
    async deletePrefix(prefix, options) {
      assert.equal((await uploads.complete(NAMESPACE, 'amid')).name, 'amid');
      await store.deletePrefix(prefix, options);
    },
  });
  await uploads.putFile(NAMESPACE, 'amid', 'model.safetensors', chunks(model, 100));
  await deleting.delete(NAMESPACE, 'amid');
  await requireNothing(deleting, 'amid');
});
