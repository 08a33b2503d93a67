/** Methods that look at all weights first: the same bytes whatever threads, reads and order of tasks. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { TILE_ELEMENTS } from '../../src/kernels/types.js';
import { runMerge } from '../../src/merge/run.js';
import { inputBytes } from '../../src/merge/stages.js';
import type { Services } from '../../src/services.js';
import { AWKWARD, type FloatSpec, folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { f32, type TestTensor } from '../helpers/safetensors-file.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { readAll } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';

const folder = temporaryFolder('emr-deep-methods-');

/** A linear layer of several items, beside every awkward size. */
const SPECS: readonly FloatSpec[] = [...AWKWARD, { name: 'linear', shape: [40_000, 5], dtypes: ['F32'] }];
const TASKS = ['a', 'b', 'c'];

/** Squares of random weights: a Fisher diagonal has the names and shapes of the model. */
const fisherOf = (t: number): TestTensor[] =>
  randomCheckpoints(
    SPECS.map((spec) => ({ ...spec, dtypes: ['F32'] })),
    0,
    50 + t,
  )[0]!.map((tensor) => {
    const values = new Float32Array(Uint8Array.from(tensor.data!).buffer).map((x) => x * x * 1e-3);
    return { ...tensor, data: new Uint8Array(values.buffer) };
  });

const gramOf = (t: number): TestTensor[] => {
  const gram = Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 3 + t : 1 / (1 + i + t)));
  return [
    f32('linear', symmetric(gram, 5), [5, 5]),
    f32('tile.wide', symmetric([2, 1, 0, 1, 3, 1, 0, 1, 2], 3), [3, 3]),
  ];
};
const symmetric = (values: number[], d: number) =>
  values.map((_, at) => values[Math.min(Math.floor(at / d), at % d) * d + Math.max(Math.floor(at / d), at % d)]!);

async function addSuite(services: Services): Promise<void> {
  for (const [t, tensors] of randomCheckpoints(SPECS, TASKS.length, 3).entries()) {
    await addCheckpoint(services, t === 0 ? 'base' : TASKS[t - 1]!, folderOf(tensors));
  }
  for (const [t, name] of TASKS.entries()) {
    await addCheckpoint(services, `fisher-${name}`, folderOf(fisherOf(t)));
    await addCheckpoint(services, `gram-${name}`, folderOf(gramOf(t)));
  }
}

const statistics = (kind: string) => Object.fromEntries(TASKS.map((name) => [name, `${kind}-${name}`]));

const METHODS: object[] = [
  { type: 'ties' },
  { type: 'ties', dialect: 'vision', density: 0.6 },
  { type: 'ties', dialect: 'mergekit', density: 0.5 },
  { type: 'ties', dialect: 'peft' },
  { type: 'dare', drop_rate: 0.5, rescale: 'l1', inner: { type: 'ties', density: 0.3 } },
  { type: 'dare', rescale: 'l1', drop_rate: 0.6, inner: { type: 'ties', dialect: 'peft', density: 0.3 } },
  { type: 'dare', inner: { type: 'regmean', statistics: statistics('gram') } },
  { type: 'fisher', statistics: statistics('fisher') },
  { type: 'regmean', statistics: statistics('gram') },
  { type: 'adamerging', coefficients: { a: 0.3, b: { '*': 0.1 }, c: 0.5 }, trimmed: { density: 0.3 } },
];

interface Run {
  readonly threads: number;
  readonly tiles: number;
  readonly tasks?: readonly string[];
}

let runs = 0;
/** Hashes of every artifact; progress must end at its total. */
async function run(services: Services, method: object, { threads, tiles, tasks = TASKS }: Run) {
  const request = requestOf({ base: 'base', tasks: tasks.map((name) => ({ name, checkpoint: name })), method });
  const plan = await services.submitter.plan(NAMESPACE, request);
  assert.deepEqual(plan.conflicts, []);
  const { store, sources, tileThreads } = services;
  const prefix = `runs/${runs++}/`;
  let clock = 0;
  const artifacts = await runMerge({
    ...{ plan, store, sources, tileThreads, prefix, threads, itemElements: tiles * TILE_ELEMENTS },
    signal: new AbortController().signal,
    onProgress: ({ bytes_done, bytes_total }) => {
      assert.ok(bytes_done >= clock && bytes_done <= bytes_total, `${bytes_done} of ${bytes_total}`);
      clock = bytes_done;
    },
  });
  assert.equal(clock, inputBytes(plan));
  const hash = async (path: string) =>
    createHash('sha256')
      .update(await readAll(store, prefix + path))
      .digest('hex');
  return Object.fromEntries(await Promise.all(artifacts.map(async ({ path }) => [path, await hash(path)] as const)));
}

test('every method is the same bytes for 1, 2 and 3 threads and other read sizes', async () => {
  await withServices({ kind: 'file', root: join(folder, 'threads') }, async (services) => {
    await addSuite(services);
    for (const method of METHODS) {
      const expected = await run(services, method, { threads: 1, tiles: 4 });
      for (const [threads, tiles] of [
        [2, 1],
        [3, 2],
      ] as const) {
        const found = await run(services, method, { threads, tiles });
        assert.deepEqual(found, expected, `${JSON.stringify(method)}, ${threads} threads, ${tiles} tiles`);
      }
    }
  });
});

test('what DARE drops does not depend on the order of tasks, and another seed drops other elements', async () => {
  await withServices({ kind: 'file', root: join(folder, 'order') }, async (services) => {
    await addSuite(services);
    // A sum of two is the same in either order.
    const model = async (tasks: readonly string[], seed: number) => {
      const method = { type: 'dare', drop_rate: 0.5, seed };
      return (await run(services, method, { threads: 2, tiles: 1, tasks }))['model.safetensors'];
    };
    const expected = await model(['a', 'b'], 0);
    assert.equal(await model(['b', 'a'], 0), expected);
    assert.notEqual(await model(['a', 'b'], 1), expected);
  });
});
