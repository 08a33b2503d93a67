/** SEMANTICS, "Determinism": the same artifact bytes whatever threads, reads and store; engines agree on u and masks. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { TILE_ELEMENTS } from '../../src/kernels/types.js';
import type { Artifact } from '../../src/merge/artifact-writer.js';
import { runMerge } from '../../src/merge/run.js';
import type { Services } from '../../src/services.js';
import { AWKWARD, folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';
import { s3Server } from '../helpers/s3-server.js';
import { f32, type TestTensor } from '../helpers/safetensors-file.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { keys, readAll } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';

const ENGINES = ['simd', 'scalar', 'tfjs'] as const;
const ITEMS = [1, 2, 4].map((tiles) => tiles * TILE_ELEMENTS);

const folder = temporaryFolder('emr-deep-');

const integers = (name: string, values: readonly bigint[]): TestTensor => ({
  name,
  dtype: 'I64',
  shape: [values.length],
  data: new Uint8Array(BigInt64Array.from(values).buffer),
});

/** Base and tasks with heads of their own, equal and unequal integers, and side files. */
async function addSuite(services: Services, tasks: number): Promise<void> {
  for (const [t, floats] of randomCheckpoints(AWKWARD, tasks, 7).entries()) {
    const head = f32(
      'head.weight',
      Array.from({ length: (t + 1) * 3 }, (_, i) => i / 7 + t),
    );
    const tensors = [...floats, head, integers('steps', [BigInt(t), 2n ** 60n]), integers('positions', [0n, 1n, 2n])];
    const side = { 'config.json': `{"task":${t}}`, 'tokenizer.txt': 'a b c' };
    await addCheckpoint(services, t === 0 ? 'base' : `tuned-${t}`, folderOf(tensors, side));
  }
}

const suiteRequest = (tasks: number, more: object = {}) =>
  requestOf({
    base: 'base',
    tasks: Array.from({ length: tasks }, (_, t) => ({ name: `task-${t + 1}`, checkpoint: `tuned-${t + 1}` })),
    ...more,
  });

let runs = 0;
async function run(services: Services, request: ReturnType<typeof requestOf>, threads: number, itemElements?: number) {
  const plan = await services.submitter.plan(NAMESPACE, request);
  const prefix = `runs/${runs++}/`;
  const { store, sources, tileThreads } = services;
  const signal = new AbortController().signal;
  const artifacts = await runMerge({
    ...{ plan, store, sources, tileThreads, prefix, threads, signal },
    ...(itemElements ? { itemElements } : {}),
    onProgress: () => {},
  });
  return { artifacts, prefix };
}

/** Every artifact by path, with the hash of the bytes that lie in the store. */
async function hashes(services: Services, { artifacts, prefix }: { artifacts: Artifact[]; prefix: string }) {
  const found: Record<string, string> = {};
  for (const { path, bytes, sha256 } of artifacts) {
    const stored = await readAll(services.store, prefix + path);
    assert.equal(stored.byteLength, bytes, path);
    found[path] = createHash('sha256').update(stored).digest('hex');
    assert.equal(found[path], sha256, `the recorded hash of ${path}`);
  }
  const listed = (await keys(services.store, prefix)).map((key) => key.slice(prefix.length));
  assert.deepEqual(listed.sort(), Object.keys(found).sort(), 'the attempt holds its artifacts and nothing else');
  return found;
}

for (const tasks of [3, 8]) {
  test(`a merge of ${tasks} is the same bytes for 1, 2, 3 threads and three read sizes`, async () => {
    await withServices({ kind: 'file', root: join(folder, `n${tasks}`) }, async (services) => {
      await addSuite(services, tasks);
      const expected = await hashes(services, await run(services, suiteRequest(tasks), 1));
      // u, report; and of each task mask, extras, layout and two side files.
      assert.equal(Object.keys(expected).length, 2 + tasks * 5);
      for (const threads of [1, 2, 3]) {
        for (const itemElements of tasks === 3 ? ITEMS : [ITEMS[3 - threads]!]) {
          const found = await hashes(services, await run(services, suiteRequest(tasks), threads, itemElements));
          assert.deepEqual(found, expected, `${threads} threads, ${itemElements} elements`);
        }
      }
    });
  });
}

test('a merge is the same bytes in S3 and in a folder', async (t) => {
  const server = await s3Server();
  if ('skip' in server) return t.skip(server.skip);
  const bucket = await server.createBucket();
  const s3 = { kind: 's3', bucket: bucket.name, prefix: 'in/here', endpoint: server.endpoint } as const;
  try {
    let expected: Record<string, string> | undefined;
    for (const store of [{ kind: 'file', root: join(folder, 'beside-s3') } as const, s3]) {
      await withServices(store, async (services) => {
        await addSuite(services, 3);
        for (const itemElements of [ITEMS[0], undefined]) {
          const found = await hashes(services, await run(services, suiteRequest(3), 2, itemElements));
          expected ??= found;
          assert.deepEqual(found, expected, `${store.kind}, ${itemElements} elements`);
        }
      });
    }
  } finally {
    await bucket.remove();
    await server.stop();
  }
});

for (const zero_sign of ['zero', 'negative'] as const) {
  for (const dtype of ['F32', 'BF16', 'F16'] as const) {
    test(`the engines agree on u and masks, and on sums within 1e-6: ${zero_sign}, ${dtype}`, async () => {
      await withServices({ kind: 'file', root: join(folder, `engines-${zero_sign}-${dtype}`) }, async (services) => {
        const tasks = 3;
        await addSuite(services, tasks);
        const found = [];
        for (const engine of ENGINES) {
          const request = suiteRequest(tasks, { engine, dtype, method: { type: 'emr', zero_sign } });
          const merged = await run(services, request, 2);
          const { 'report.json': _report, ...bytes } = await hashes(services, merged);
          const report = JSON.parse((await readAll(services.store, `${merged.prefix}report.json`)).toString());
          found.push({ engine, bytes, report });
        }
        for (const { engine, bytes, report } of found.slice(1)) {
          assert.deepEqual(bytes, found[0]!.bytes, engine);
          assertClose(report, found[0]!.report, engine);
        }
      });
    });
  }
}

/** The same JSON, numbers within 1e-6 of each other, relative to the largest beside them: distances are differences. */
function assertClose(actual: unknown, expected: unknown, where: string, scale = 0): void {
  if (typeof expected === 'number') {
    const room = 1e-6 * Math.max(Math.abs(expected), scale);
    assert.ok(typeof actual === 'number' && Math.abs(actual - expected) <= room, `${where}: ${actual}, ${expected}`);
    return;
  }
  if (expected === null || typeof expected !== 'object') {
    assert.equal(actual, expected, where);
    return;
  }
  assert.deepEqual(Object.keys(actual as object), Object.keys(expected), where);
  const squared = (expected as { tau_squared_norm?: number }).tau_squared_norm ?? scale;
  for (const [key, value] of Object.entries(expected)) {
    assertClose((actual as Record<string, unknown>)[key], value, `${where}.${key}`, key === 'cosine' ? 1 : squared);
  }
}
