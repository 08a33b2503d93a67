/** A source that becomes another one in the middle of a merge, after its first weights were read and written. */
import assert from 'node:assert/strict';
import { mkdir, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createMergeCatalog } from '../../src/catalog/merges.js';
import { readConfig } from '../../src/config.js';
import { createMergeHandler } from '../../src/merge/execute.js';
import { createServices, type Services } from '../../src/services.js';
import type { StoreConfig } from '../../src/store/types.js';
import { hookedStore } from '../helpers/hooked-store.js';
import { folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { s3Server } from '../helpers/s3-server.js';
import { NAMESPACE, requestOf } from '../helpers/services.js';
import { chunks, keys } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';

/** Eight items of 262,144 elements, of which one thread reads a few ahead of what is written. */
const TENSORS = Array.from({ length: 8 }, (_, i) => ({
  name: `layer.${i}`,
  shape: [512, 512],
  dtypes: ['F32'] as const,
}));
const NAMES = ['base', 'tuned-1', 'tuned-2'];
const WEIGHTS = 'model.safetensors';
const FOLDERS = randomCheckpoints(TENSORS, 2, 11).map((tensors) => folderOf(tensors, { 'config.json': '{}' }));
const [, , OTHER] = FOLDERS.map((files) => files.get(WEIGHTS)!);

interface Place {
  readonly store: StoreConfig;
  /** Adds a checkpoint's folder where `uri` then finds it. */
  add(services: Services, name: string, files: ReadonlyMap<string, Uint8Array>): Promise<void>;
  uri(name: string): string;
  readonly root: string;
}

/** Runs a merge of sources that lie at `place`, and `change` when it has written its first items; how it ended. */
async function mergeWhile(place: Place, change: (services: Services) => Promise<unknown>) {
  const config = { ...readConfig({ LOG_LEVEL: 'silent', EMR_FILE_ROOTS: place.root }), store: place.store };
  const services = await createServices(config, { info: () => {}, warn: () => {} });
  try {
    for (const [i, name] of NAMES.entries()) {
      await place.add(services, name, FOLDERS[i]!);
      await services.register(NAMESPACE, name, place.uri(name));
    }
    const tasks = NAMES.slice(1).map((checkpoint) => ({ name: checkpoint, checkpoint }));
    const { fact } = await services.submitter.submit(NAMESPACE, requestOf({ base: 'base', tasks }));
    let writes = 0;
    const store = hookedStore(services.store, async ({ op, key }) => {
      if (op === 'write' && key.endsWith('unified.safetensors') && ++writes === 3) await change(services);
    });
    const merges = createMergeCatalog(store, Date.now);
    const run = createMergeHandler({ ...services, store, merges, threads: 1, verify: 'off', now: Date.now });
    const context = { signal: new AbortController().signal, progress: () => {} };
    await run({ kind: 'merge', namespace: NAMESPACE, id: fact.id }, context);
    assert.ok(writes >= 3, 'it was in the middle');
    const left = await keys(services.store, `${NAMESPACE}/merges/${fact.id}/`);
    return { outcome: await merges.outcome(NAMESPACE, fact.id), left: left.map((key) => key.split('/').at(-1)) };
  } finally {
    await services.close();
  }
}

async function requireNamed(place: Place, checkpoint: string, change: (services: Services) => Promise<unknown>) {
  const { outcome, left } = await mergeWhile(place, change);
  assert.ok(outcome.state === 'failed', outcome.state);
  const { code, detail, facts } = outcome.error;
  assert.equal(code, 'source_changed', detail);
  assert.deepEqual(facts, { checkpoint, file: WEIGHTS });
  assert.ok(detail.includes(checkpoint) && detail.includes('add it again'), detail);
  assert.deepEqual(left, ['error.json', 'request.json'], 'nothing of the attempt remains');
}

function onDisk(): Place {
  const root = temporaryFolder('emr-replaced-');
  return {
    root,
    store: { kind: 'file', root: join(root, 'data') },
    uri: (name) => `file://${join(root, name)}`,
    async add(_services, name, files) {
      await mkdir(join(root, name));
      for (const [file, bytes] of files) await writeFile(join(root, name, file), bytes);
    },
  };
}

const ON_DISK: Record<string, (path: string) => Promise<unknown>> = {
  'written again in place, with as many bytes': (path) => writeFile(path, OTHER!),
  'another file by its name': async (path) => {
    await writeFile(`${path}.new`, OTHER!);
    await rename(`${path}.new`, path);
  },
  touched: async (path) => utimes(path, new Date(), new Date((await stat(path)).mtimeMs + 1000)),
  'cut off': async (path) => truncate(path, (await stat(path)).size - 4),
  gone: (path) => rm(path),
};

for (const [what, change] of Object.entries(ON_DISK)) {
  test(`on disk, ${what}: the merge fails, names the checkpoint, and leaves nothing`, async () => {
    for (const name of ['base', 'tuned-2']) {
      const place = onDisk();
      await requireNamed(place, name, () => change(join(place.root, name, WEIGHTS)));
    }
  });
}

test('on disk, left alone: the same merge succeeds', async () => {
  const { outcome } = await mergeWhile(onDisk(), async () => {});
  assert.equal(outcome.state, 'succeeded');
});

const s3 = await s3Server();
after(async () => {
  if (!('skip' in s3)) await s3.stop();
});

test('in a bucket, another object or none: the same', 'skip' in s3 ? { skip: s3.skip } : {}, async () => {
  assert.ok(!('skip' in s3));
  const object = (name: string, file = WEIGHTS) => `${NAMESPACE}/inbox/${name}/${file}`;
  for (const change of [
    ({ store }: Services) => store.put(object('tuned-1'), chunks(OTHER!, 2 ** 20)),
    ({ store }: Services) => store.delete(object('tuned-1')),
  ]) {
    const bucket = await s3.createBucket();
    try {
      const place: Place = {
        root: '',
        store: { kind: 's3', bucket: bucket.name, prefix: 'emr', endpoint: s3.endpoint },
        uri: (name) => `store:inbox/${name}`,
        async add({ store }, name, files) {
          for (const [file, bytes] of files) await store.put(object(name, file), chunks(bytes, 2 ** 20));
        },
      };
      await requireNamed(place, 'tuned-1', change);
    } finally {
      await bucket.remove();
    }
  }
});
