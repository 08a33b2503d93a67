/** Every method that makes one model, through plan, surveys and threads, against an implementation in numpy. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { elementCount, type FloatDtype } from '../../src/dtype.js';
import { ENGINE_NAMES, type EngineName } from '../../src/kernels/types.js';
import { runMerge } from '../../src/merge/run.js';
import type { Services } from '../../src/services.js';
import { readSafetensors } from '../helpers/model-files.js';
import { python } from '../helpers/python.js';
import { safetensorsFile, type TestTensor } from '../helpers/safetensors-file.js';
import { addCheckpoint, NAMESPACE, requestOf, withServices } from '../helpers/services.js';
import { readAll } from '../helpers/stores.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { GOLDEN_FOLDER } from './vectors.js';

type GoldenMethod = Readonly<Record<string, unknown>> & { readonly type: string };

interface MethodCase {
  readonly case: string;
  readonly dtypes: readonly FloatDtype[];
  readonly methods: readonly GoldenMethod[];
  /** Kinds of statistics that there are. */
  readonly statistics: readonly string[];
}

/** That are run on every engine; the others on the default alone. test/conformance holds engines to equal bits. */
const ON_ALL_ENGINES = ['two', 'grid', 'learned'];

/** What `fisher` and `regmean` promise; every other method is equal in f32. */
const RELATIVE = 1e-5;

const vectors = readSafetensors(await readFile(join(GOLDEN_FOLDER, 'methods.safetensors')));
const [head, ...cases] = (await readFile(join(GOLDEN_FOLDER, 'methods.jsonl'), 'utf8'))
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line));
const shapes = Object.entries(head.tensors as Record<string, number[]>);
const folder = temporaryFolder('emr-golden-methods-');

for (const item of cases as MethodCase[]) {
  test(`golden models: ${item.case}`, async () => {
    await withServices({ kind: 'file', root: join(folder, item.case) }, async (services) => {
      await addCase(services, item);
      const engines = ON_ALL_ENGINES.includes(item.case) ? ENGINE_NAMES : (['simd'] as const);
      for (const [number, method] of item.methods.entries()) {
        for (const engine of engines) await compare(services, item, number, method, engine);
      }
    });
  });
}

async function addCase(services: Services, item: MethodCase): Promise<void> {
  const add = (name: string, label: string, dtype: FloatDtype) => {
    const tensors = [...vectors.entries()].flatMap(([path, tensor]): TestTensor[] => {
      if (!path.startsWith(`${item.case}/${label}/`)) return [];
      const tensorName = path.slice(path.lastIndexOf('/') + 1);
      return [{ name: tensorName, dtype, shape: tensor.shape, data: tensor.bytes }];
    });
    return addCheckpoint(services, name, new Map([['model.safetensors', safetensorsFile(tensors)]]));
  };
  await add('base', 'base', item.dtypes[0]!);
  for (let t = 1; t < item.dtypes.length; t++) {
    await add(`t${t}`, String(t), item.dtypes[t]!);
    for (const kind of item.statistics) await add(`${kind}-${t}`, `${kind}/${t}`, 'F32');
  }
}

/** The method with names of checkpoints in the place of the kind of its statistics. */
function withStatistics({ statistics, inner, ...method }: GoldenMethod, tasks: readonly string[]): object {
  return {
    ...method,
    ...(inner ? { inner: withStatistics(inner as GoldenMethod, tasks) } : {}),
    ...(statistics ? { statistics: Object.fromEntries(tasks.map((name, t) => [name, `${statistics}-${t + 1}`])) } : {}),
  };
}

async function compare(
  services: Services,
  item: MethodCase,
  number: number,
  method: GoldenMethod,
  engine: EngineName,
): Promise<void> {
  const tasks = item.dtypes.slice(1).map((_, t) => `t${t + 1}`);
  const request = requestOf({
    base: 'base',
    tasks: tasks.map((name) => ({ name, checkpoint: name })),
    method: withStatistics(method, tasks),
    engine,
  });
  const { store, sources, tileThreads } = services;
  const plan = await services.submitter.plan(NAMESPACE, request);
  assert.deepEqual(plan.conflicts, []);
  const prefix = `golden/${engine}/${number}/`;
  const signal = new AbortController().signal;
  await runMerge({ plan, store, sources, tileThreads, prefix, threads: 2, signal, onProgress: () => {} });
  const model = readSafetensors(await readAll(store, `${prefix}model.safetensors`));
  for (const [name, shape] of shapes) {
    const expected = vectors.get(`${item.case}/merged/${number}/${name}`)!;
    const what = `${engine}: ${JSON.stringify(method)}: ${name}`;
    const bytes = model.get(name)!.bytes;
    if (expected.dtype === 'F64' && elementCount(shape) > 0) assertNear(bytes, expected.bytes, what);
    else assert.ok(sameValues(bytes, expected.bytes, item.dtypes[0]!), what);
  }
}

/** Equal bits, but for the sign of a zero. */
function sameValues(actual: Buffer, expected: Buffer, dtype: FloatDtype): boolean {
  const plain = (bytes: Buffer) => {
    if (dtype === 'F32')
      return Array.from(new Uint32Array(Uint8Array.from(bytes).buffer), (x) => (x === 2 ** 31 ? 0 : x));
    return Array.from(new Uint16Array(Uint8Array.from(bytes).buffer), (x) => (x === 2 ** 15 ? 0 : x));
  };
  const wanted = plain(expected);
  return actual.length === expected.length && plain(actual).every((value, i) => value === wanted[i]);
}

function assertNear(actual: Buffer, expected: Buffer, what: string): void {
  const found = new Float32Array(Uint8Array.from(actual).buffer);
  const wanted = new Float64Array(Uint8Array.from(expected).buffer);
  assert.equal(found.length, wanted.length, what);
  for (const [i, value] of wanted.entries()) {
    assert.ok(Math.abs(found[i]! - value) <= RELATIVE * Math.abs(value), `${what} ${i}: ${found[i]}, not ${value}`);
  }
}

test('golden models are what generate_methods.py writes', async (t) => {
  const interpreter = await python();
  if ('skip' in interpreter) return t.skip(interpreter.skip);
  const made = await mkdtemp(join(tmpdir(), 'emr-golden-'));
  try {
    const script = join(GOLDEN_FOLDER, 'generate_methods.py');
    await promisify(execFile)(interpreter.path, ['-B', script, made]);
    for (const file of ['methods.safetensors', 'methods.jsonl']) {
      const [now, committed] = [await readFile(join(made, file)), await readFile(join(GOLDEN_FOLDER, file))];
      assert.ok(now.equals(committed), `${file} is not up to date: run test/golden/generate_methods.py test/golden`);
    }
  } finally {
    await rm(made, { recursive: true });
  }
});
