/** A merge that was interrupted goes on from where it was: what is written is not computed again, and no bit differs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createMergeCatalog } from '../../src/catalog/merges.js';
import { createMergeHandler } from '../../src/merge/execute.js';
import type { Services } from '../../src/services.js';
import type { Store, StoreConfig } from '../../src/store/types.js';
import { hookedStore, type WriteStep } from '../helpers/hooked-store.js';
import { type FloatSpec, folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { s3Server } from '../helpers/s3-server.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { chunks, keys, readAll } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** Items have 262,144 elements: ten of them, the first three of the first tensor. */
const TENSORS: readonly FloatSpec[] = [
  { name: 'a', shape: [700_001], dtypes: ['F32'] },
  { name: 'b', shape: [33], dtypes: ['BF16'] },
  { name: 'c', shape: [1_500_000], dtypes: ['F32', 'F16'] },
];
const CHECKPOINTS = randomCheckpoints(TENSORS, 2, 5).map((tensors) => folderOf(tensors, { 'config.json': '{}' }));
const TASKS = [1, 2].map((t) => ({ name: `task-${t}`, checkpoint: `tuned-${t}` }));
const METHODS = {
  emr: { type: 'emr' },
  ties: { type: 'ties', density: 0.3, lambda: 1 },
  average: { type: 'average' },
};

/** For a savepoint that has begun, of 5 ms each: one that fails never comes. */
const MOST_WAITS = 2000;
/** So that items are the same in every store. */
const ITEM_BYTES = 2 ** 20;

/** Where each merge has a store of its own. */
type OpenPlace = () => StoreConfig;

interface Place {
  readonly services: Services;
  readonly id: string;
}

/** Runs `body` with an accepted merge in a new store. */
async function withMerge(open: OpenPlace, method: object, body: (place: Place) => Promise<void>): Promise<void> {
  await withServices(open(), async (services) => {
    for (const [t, files] of CHECKPOINTS.entries()) await addCheckpoint(services, t ? `tuned-${t}` : 'base', files);
    const request = requestOf({ base: 'base', tasks: TASKS, method });
    await body({ services, id: (await services.submitter.submit(NAMESPACE, request)).fact.id });
  });
}

type Hook = (step: WriteStep, stop: AbortController) => void | Promise<void>;

interface AttemptSettings {
  readonly canSave?: Store['canSave'];
  readonly saveEveryMs?: number;
}

/** One attempt that notes how far it is after every item, if it is not still at it. */
async function attempt({ services, id }: Place, hook: Hook = () => {}, settings: AttemptSettings = {}): Promise<void> {
  const { canSave = services.store.canSave, saveEveryMs = 0 } = settings;
  const controller = new AbortController();
  const hooked = hookedStore(services.store, (step) => hook(step, controller));
  const store = { ...hooked, readBytes: ITEM_BYTES, canSave };
  const merges = createMergeCatalog(store, Date.now);
  const own = { store, merges, threads: 1, verify: 'off', saveEveryMs, now: Date.now } as const;
  const handler = createMergeHandler({ ...services, ...own });
  await handler({ kind: 'merge', namespace: NAMESPACE, id }, { signal: controller.signal, progress: () => {} });
}

const below = async ({ services, id }: Place, part = '') =>
  (await keys(services.store, `${NAMESPACE}/merges/${id}/`)).filter((key) => key.includes(part));

async function artifactsOf({ services: { merges }, id }: Place) {
  const outcome = await merges.outcome(NAMESPACE, id);
  assert.ok(outcome.state === 'succeeded', outcome.state);
  return outcome.result.artifacts;
}

type Artifacts = Awaited<ReturnType<typeof artifactsOf>>;
const expected = new Map<object, Artifacts>();
const folder = temporaryFolder('emr-resume-');
let places = 0;
const openFolder = () => ({ kind: 'file', root: join(folder, String(++places)) }) as const;

before(async () => {
  for (const method of Object.values(METHODS)) {
    await withMerge(openFolder, method, async (place) => {
      await attempt(place);
      expected.set(method, await artifactsOf(place));
    });
  }
});

/** The artifacts, their bytes in the store, and that nothing else is there. */
async function requireExpected(place: Place, method: object): Promise<void> {
  const artifacts = await artifactsOf(place);
  assert.deepEqual(artifacts, expected.get(method));
  const stored = await below(place, '/a/');
  assert.equal(stored.length, artifacts.length, stored.join('\n'));
  assert.deepEqual(await below(place, 'saved'), []);
}

/** Stops an attempt as a worker that ends does, at the first write to `path` after `saves` savepoints. */
async function interrupt(place: Place, path: string, saves: number): Promise<void> {
  let saved = 0;
  let saving = false;
  const stopped = attempt(place, async ({ op, key }, stop) => {
    if (op === 'save') saving = true;
    if (op === 'created' && key.includes('/saved/')) {
      saving = false;
      saved += 1;
    }
    if (op !== 'write' || !key.endsWith(path)) return;
    for (let waits = 0; saving && waits < MOST_WAITS; waits++) await pause(5);
    if (saved >= saves) stop.abort('shutdown');
  });
  await assert.rejects(stopped);
  assert.ok((await below(place, '/saved/')).length > 0, 'how far it came is noted');
}

/** Puts other bytes into an object, as many as it had. */
async function change({ services: { store } }: Place, key: string, spoil: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readAll(store, key);
  spoil(bytes);
  await store.put(key, chunks(bytes, 2 ** 20));
}

/** Spoils the first weights of a fine-tune, whose size stays as it is: whoever reads them again gets other results. */
async function spoilSource(place: Place): Promise<void> {
  const found = await keys(place.services.store, `${NAMESPACE}/checkpoints/tuned-1/`);
  const key = found.find((one) => one.endsWith('model.safetensors'))!;
  await change(place, key, (bytes) => {
    const weights = Number(bytes.readBigUInt64LE(0)) + 8;
    bytes.fill(0x3d, weights, weights + 400_000);
  });
}

test('a merge of the spoiled weights from its start gives other artifacts', async () => {
  await withMerge(openFolder, METHODS.emr, async (place) => {
    await spoilSource(place);
    await attempt(place);
    assert.notDeepEqual(await artifactsOf(place), expected.get(METHODS.emr));
  });
});

test('where the store cannot save, a merge notes nothing', async () => {
  await withMerge(openFolder, METHODS.emr, async (place) => {
    const hook: Hook = ({ op, key }) => assert.ok(op !== 'save' && !key.includes('/saved/'));
    await attempt(place, hook, { canSave: async () => false });
    await requireExpected(place, METHODS.emr);
  });
});

test('a merge that ends before its first savepoint asks the store for nothing more', async () => {
  await withMerge(openFolder, METHODS.emr, async (place) => {
    const hook: Hook = ({ op, key }) => assert.ok(op !== 'save' && !key.includes('/saved/'));
    await attempt(place, hook, { canSave: async () => assert.fail('asked'), saveEveryMs: 3_600_000 });
    await requireExpected(place, METHODS.emr);
  });
});

/** After how many savepoints a merge by a method is interrupted. */
type SavesOf = Partial<Record<keyof typeof METHODS, readonly number[]>>;

function resumeCases(open: OpenPlace, savesOf: SavesOf, damaged: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(savesOf) as (keyof typeof METHODS)[]) {
    const method = METHODS[name];
    const output = name === 'emr' ? 'unified.safetensors' : 'model.safetensors';
    for (const saves of savesOf[name]!) {
      test(`${name}: the next attempt goes on after ${saves} savepoints, and reads nothing again that it need not`, async () => {
        await withMerge(open, method, async (place) => {
          await interrupt(place, output, saves);
          // A survey looks at all weights again; the others read what is done no more.
          if (name !== 'ties') await spoilSource(place);
          await attempt(place);
          await requireExpected(place, method);
        });
      });
    }
  }

  test('interrupted again and again, with a savepoint taken over each time', async () => {
    await withMerge(open, METHODS.emr, async (place) => {
      for (let time = 0; time < 3; time++) await interrupt(place, 'unified.safetensors', 1);
      await spoilSource(place);
      await attempt(place);
      await requireExpected(place, METHODS.emr);
    });
  });

  for (const [what, part] of Object.entries(damaged)) {
    test(`where ${what} is damaged, the next attempt begins anew`, async () => {
      await withMerge(open, METHODS.emr, async (place) => {
        await interrupt(place, 'unified.safetensors', 2);
        const found = (await below(place, '/saved/')).filter((one) => one.includes(part));
        assert.ok(found.length > 0);
        for (const key of found) {
          await change(place, key, (bytes) => {
            bytes[Math.min(5000, bytes.byteLength >> 1)]! ^= 1;
          });
        }
        await attempt(place);
        await requireExpected(place, METHODS.emr);
      });
    });
  }

  test('a worker that sleeps while another goes on from its savepoint spoils nothing when it wakes', async () => {
    await withMerge(open, METHODS.emr, async (place) => {
      let wake = () => {};
      const asleep = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let saved = false;
      let sleeps = false;
      const zombie = attempt(place, async ({ op, key }) => {
        if (op === 'created' && key.includes('/saved/')) saved = true;
        if (!saved || op !== 'write') return;
        sleeps = true;
        await asleep;
      });
      await until('it sleeps', () => sleeps);
      await attempt(place);
      wake();
      await zombie;
      await requireExpected(place, METHODS.emr);
    });
  });

  test('a merge that is cancelled while it waits to go on leaves nothing', async () => {
    await withMerge(open, METHODS.emr, async (place) => {
      await interrupt(place, 'unified.safetensors', 1);
      await place.services.merges.cancel(NAMESPACE, place.id);
      assert.deepEqual(
        (await below(place)).map((key) => key.split('/').at(-1)),
        ['cancelled.json', 'request.json'],
      );
    });
  });
}

/** What is damaged, by a part of its key. */
const VECTOR = { 'the saved vector': 'artifacts/unified.safetensors' };
const REST = { 'a saved mask': 'artifacts/tasks/task-2/mask.safetensors', 'the savepoint itself': 'json' };

describe('in a folder', () =>
  resumeCases(openFolder, { emr: [1, 3], ties: [1, 3], average: [1, 3] }, { ...VECTOR, ...REST }));

const s3 = await s3Server();
if ('skip' in s3) {
  test('over S3', { skip: s3.skip }, () => {});
} else {
  const bucket = await s3.createBucket();
  after(async () => {
    await bucket.remove();
    await s3.stop();
  });
  const openS3 = () => ({ kind: 's3', bucket: bucket.name, prefix: String(++places), endpoint: s3.endpoint }) as const;
  // After eight savepoints a vector of F32 has more than the smallest part of an upload.
  describe('over S3', () => resumeCases(openS3, { emr: [1, 8] }, VECTOR));
}
