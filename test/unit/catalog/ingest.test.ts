import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CheckpointCatalog, createCheckpointCatalog } from '../../../src/catalog/checkpoints.js';
import { createIngest } from '../../../src/catalog/ingest.js';
import { createSources } from '../../../src/catalog/sources.js';
import { createUploads, type Uploads } from '../../../src/catalog/uploads.js';
import { DEFAULT_LIMITS } from '../../../src/checkpoint/limits.js';
import { EmrError } from '../../../src/errors.js';
import { storeOutput } from '../../../src/models/output.js';
import { jobRequest } from '../../../src/models/request.js';
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
  return createUploads({ store: over, ingest, checkpoints, maxBytes: 2 ** 20, now: Date.now });
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

/** The store from the moment on in which a checkpoint is recorded: one operation fails. */
function failingAfterRecord(name: string, op: 'stat' | 'list' | 'create'): Store {
  const record = `${NAMESPACE}/checkpoints/${name}/checkpoint.json`;
  let isRecorded = false;
  const fail = () => {
    throw new EmrError('store_unavailable', 'test');
  };
  return {
    ...store,
    async create(key, bytes) {
      const created = await store.create(key, bytes);
      isRecorded ||= key === record;
      return op === 'create' && key === record ? fail() : created;
    },
    stat: async (key) => (op === 'stat' && isRecorded && key !== record ? fail() : store.stat(key)),
    list: (prefix, options) => (op === 'list' && isRecorded ? fail() : store.list(prefix, options)),
  };
}

for (const op of ['stat', 'list', 'create'] as const) {
  test(`a checkpoint that is recorded keeps its files when ${op} fails then`, async () => {
    const name = `recorded-${op}`;
    const upload = await uploadsOver(failingAfterRecord(name, op)).begin(NAMESPACE, name);
    await upload.add('model.safetensors', chunks(model, 100));
    // As the route does; what was sent beside it and cannot be removed is no reason to refuse.
    const ended = await upload.commit().catch(async (error: EmrError) => {
      await upload.abort();
      return error.code;
    });
    assert.equal(typeof ended === 'string' ? ended : ended.name, op === 'list' ? name : 'store_unavailable');
    const record = await createCheckpointCatalog(store).get(NAMESPACE, name);
    assert.deepEqual(
      await Promise.all(record.files.map(async ({ location }) => (await store.stat(location.key))?.bytes)),
      [model.byteLength],
    );
  });
}

test('an output whose job is cancelled while it is stored is not recorded', async () => {
  const checkpoints = createCheckpointCatalog(store);
  const controller = new AbortController();
  const cancelling: Store = {
    ...store,
    async put(...args) {
      const info = await store.put(...args);
      controller.abort('cancelled');
      return info;
    },
  };
  const request = { type: 'fisher', checkpoint: 'm', dataset: 'd', output: 'cancelled-output' } as const;
  const fact = { id: 'j-1', created_at: '', request: jobRequest.parse(request), digests: {} };
  const tensors = [{ name: 'w', dtype: 'F32', shape: [1], bytes: new Uint8Array(4) } as const];
  const options = { uploads: uploadsOver(cancelling), checkpoints };
  await assert.rejects(
    storeOutput(options, NAMESPACE, fact, tensors, controller.signal),
    (error) => error === 'cancelled',
  );
  await requireNothing(checkpoints, 'cancelled-output');
});
