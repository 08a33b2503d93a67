/** A merge that was interrupted goes on from where it was: what is written is not computed again, and no bit differs. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createMergeCatalog } from '../../src/catalog/merges.js';
import { createMergeHandler } from '../../src/merge/execute.js';
import type { Services } from '../../src/services.js';
import { hookedStore, type WriteStep } from '../helpers/hooked-store.js';
import { type FloatSpec, folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { keys } from '../helpers/stores.js';
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

/** For a savepoint, of 5 ms each: one that was due while the last was still being written never comes. */
const MOST_WAITS = 400;

const folder = temporaryFolder('emr-resume-');
let places = 0;

interface Place {
  readonly services: Services;
  readonly root: string;
  readonly id: string;
}

/** Runs `body` with an accepted merge in a store of its own. */
async function withMerge(method: object, body: (place: Place) => Promise<void>): Promise<void> {
  const root = join(folder, String(++places));
  await withServices({ kind: 'file', root }, async (services) => {
    for (const [t, files] of CHECKPOINTS.entries()) await addCheckpoint(services, t ? `tuned-${t}` : 'base', files);
    const request = requestOf({ base: 'base', tasks: TASKS, method });
    await body({ services, root, id: (await services.submitter.submit(NAMESPACE, request)).fact.id });
  });
}

type Hook = (step: WriteStep, stop: AbortController) => void | Promise<void>;

/** One attempt that notes how far it is after every item, if it is not still at it. */
async function attempt({ services, id }: Place, hook: Hook = () => {}): Promise<void> {
  const controller = new AbortController();
  const store = hookedStore(services.store, (step) => hook(step, controller));
  const merges = createMergeCatalog(store, Date.now);
  const own = { store, merges, threads: 1, verify: 'off', saveEveryMs: 0, now: Date.now } as const;
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

before(async () => {
  for (const method of Object.values(METHODS)) {
    await withMerge(method, async (place) => {
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
  let writes = 0;
  const stopped = attempt(place, async ({ op, key }, stop) => {
    if (op === 'created' && key.includes('/saved/')) saved += 1;
    if (op !== 'write' || !key.endsWith(path)) return;
    // Each write of an item, after the header and the first, waits for the savepoint before it.
    writes += 1;
    const wanted = Math.min(saves, writes - 2);
    for (let waits = 0; saved < wanted && waits < MOST_WAITS; waits++) await pause(5);
    if (saved >= saves) stop.abort('shutdown');
  });
  await assert.rejects(stopped);
  assert.ok((await below(place, '/saved/')).length > 0, 'how far it came is noted');
}

/** Spoils the first weights of a fine-tune, whose size stays as it is: whoever reads them again gets other results. */
async function spoilSource({ root, services }: Place): Promise<void> {
  const [key] = (await keys(services.store, `${NAMESPACE}/checkpoints/tuned-1/`)).filter((one) =>
    one.endsWith('model.safetensors'),
  );
  const path = join(root, key!);
  const bytes = await readFile(path);
  const weights = Number(bytes.readBigUInt64LE(0)) + 8;
  bytes.fill(0x3d, weights, weights + 400_000);
  await writeFile(path, bytes);
}

for (const [name, method] of Object.entries(METHODS)) {
  const output = name === 'emr' ? 'unified.safetensors' : 'model.safetensors';
  for (const saves of [1, 3]) {
    test(`${name}: the next attempt goes on after ${saves} savepoints, and reads nothing again that it need not`, async () => {
      await withMerge(method, async (place) => {
        await interrupt(place, output, saves);
        // A survey looks at all weights again; the others read what is done no more.
        if (name !== 'ties') await spoilSource(place);
        await attempt(place);
        await requireExpected(place, method);
      });
    });
  }
}

test('a merge of the spoiled weights from its start gives other artifacts', async () => {
  await withMerge(METHODS.emr, async (place) => {
    await spoilSource(place);
    await attempt(place);
    assert.notDeepEqual(await artifactsOf(place), expected.get(METHODS.emr));
  });
});

test('interrupted again and again, with a savepoint taken over each time', async () => {
  await withMerge(METHODS.emr, async (place) => {
    for (let time = 0; time < 3; time++) await interrupt(place, 'unified.safetensors', 1);
    await spoilSource(place);
    await attempt(place);
    await requireExpected(place, METHODS.emr);
  });
});

for (const [what, part] of Object.entries({
  'the saved vector': 'artifacts/unified.safetensors',
  'a saved mask': 'artifacts/tasks/task-2/mask.safetensors',
  'the savepoint itself': 'json',
})) {
  test(`where ${what} is damaged, the next attempt begins anew`, async () => {
    await withMerge(METHODS.emr, async (place) => {
      await interrupt(place, 'unified.safetensors', 2);
      const [key] = (await below(place, '/saved/')).filter((one) => one.endsWith(part));
      const path = join(place.root, key!);
      const bytes = await readFile(path);
      bytes[Math.min(5000, bytes.byteLength >> 1)]! ^= 1;
      await writeFile(path, bytes);
      await attempt(place);
      await requireExpected(place, METHODS.emr);
    });
  });
}

test('a worker that sleeps while another goes on from its savepoint spoils nothing when it wakes', async () => {
  await withMerge(METHODS.emr, async (place) => {
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
  await withMerge(METHODS.emr, async (place) => {
    await interrupt(place, 'unified.safetensors', 1);
    await place.services.merges.cancel(NAMESPACE, place.id);
    assert.deepEqual(
      (await below(place)).map((key) => key.split('/').at(-1)),
      ['cancelled.json', 'request.json'],
    );
  });
});
