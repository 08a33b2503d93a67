import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadEngine } from '../../src/kernels/engine.js';
import { taskSums, unifiedSums } from '../../src/kernels/sums.js';
import { ENGINE_NAMES, type Engine, TILE_ELEMENTS, type ZeroSign } from '../../src/kernels/types.js';
import {
  cosines,
  distances,
  RESCALERS,
  rescalers,
  type Steps,
  type TensorSums,
  tensorRescalers,
} from '../../src/merge/rescalers.js';
import { python, runPython } from '../helpers/python.js';
import { GOLDEN_FOLDER, type GoldenCase, readGolden, type TaskFigures } from './vectors.js';

const golden = readGolden();
const close = (actual: number, expected: number, scale: number, what: string) =>
  assert.ok(Math.abs(actual - expected) <= 1e-6 * scale, `${what}: ${actual}, not ${expected}`);

for (const name of ENGINE_NAMES) {
  describe(`golden vectors on engine ${name}`, async () => {
    const engine = await loadEngine(name);
    for (const item of golden.cases) {
      for (const zeroSign of ['zero', 'negative'] as const) {
        it(`${item.case}, sgn(0) as ${zeroSign}`, () => {
          const sums = mergeAndCompare(engine, item, zeroSign);
          item.figures[zeroSign].forEach((figures, t) => {
            compareFigures(sums[t]!, figures, `task ${t + 1}`);
          });
        });
      }
    }
  });
}

/** u and masks bit for bit; returns the sums of each task over each tensor. */
function mergeAndCompare(engine: Engine, item: GoldenCase, zeroSign: ZeroSign): TensorSums[][] {
  const [base, ...tasks] = item.dtypes;
  const wide = item.dtypes.includes('F64');
  const workspace = engine.createMerge({ tasks: tasks.length, elements: TILE_ELEMENTS, wide });
  const sums: TensorSums[][] = tasks.map(() => []);
  for (const { name, n } of golden.tensors) {
    if (n === 0) {
      for (const task of sums) task.push(NOTHING);
      continue;
    }
    item.dtypes.forEach((dtype, slot) => {
      workspace.input(slot, n, dtype).set(golden.bytes(`${item.case}/${slot === 0 ? 'base' : slot}/${name}`));
    });
    const fault = workspace.emr({ n, base: base!, tasks, zeroSign, output: item.output });
    assert.equal(fault, undefined);
    const expected = (what: string) => golden.bytes(`${item.case}/${zeroSign}/${what}/${name}`);
    assert.ok(expected('u').equals(workspace.output(n, item.output)), `u of ${name}`);
    const row = workspace.sums(n);
    tasks.forEach((_, t) => {
      assert.ok(expected(`mask/${t + 1}`).equals(workspace.mask(t, n)), `mask ${t + 1} of ${name}`);
      sums[t]!.push({ n, ...taskSums(row, t), ...unifiedSums(row) });
    });
  }
  return sums;
}

/** An empty tensor never reaches an engine. */
const NOTHING: TensorSums = {
  n: 0,
  abs_u: 0,
  u_sq: 0,
  abs_tau: 0,
  tau_sq: 0,
  masked_abs_u: 0,
  masked_u_sq: 0,
  aligned_product: 0,
  conflict_product: 0,
  aligned: 0,
  conflicts: 0,
};

function compareFigures(sums: readonly TensorSums[], figures: TaskFigures, what: string): void {
  assert.deepEqual(
    sums.map((k) => k.aligned),
    figures.aligned,
  );
  assert.deepEqual(
    sums.map((k) => k.conflicts),
    figures.conflicts,
  );
  const model = rescalers(sums);
  for (const kind of RESCALERS) {
    const expected = figures.rescalers.model[kind];
    close(model[kind], expected, Math.abs(expected), `${what}, ${kind}`);
    sums.forEach((k, i) => {
      const own = figures.rescalers.tensor[i]![kind];
      close(tensorRescalers(k)[kind], own, Math.abs(own), `${what}, tensor ${i}, ${kind}`);
    });
  }
  // A distance is a difference of larger terms, so it is as right as those are.
  const scale = sums.reduce((all, k) => all + k.tau_sq + k.u_sq, 0);
  for (const scope of ['model', 'tensor'] as const) {
    const [distance, cosine] = [distances(sums, scope), cosines(sums, scope)];
    for (const [step, expected] of Object.entries(figures.steps)) {
      if (step.includes('/') && !step.startsWith(scope)) continue;
      const largest = Math.max(scale, 4 * expected.distance);
      close(at(distance, step), expected.distance, largest, `${what}, distance ${step}`);
      close(at(cosine, step), expected.cosine, 4, `${what}, cosine ${step}`);
    }
  }
}

function at(steps: Steps, step: string): number {
  if (step === 'unified' || step === 'masked') return steps[step];
  return steps.rescaled[step.split('/')[1] as (typeof RESCALERS)[number]];
}

describe('golden vectors', () => {
  it('are what generate.py writes', async (t) => {
    const interpreter = await python();
    if ('skip' in interpreter) return t.skip(interpreter.skip);
    const folder = await mkdtemp(join(tmpdir(), 'emr-golden-'));
    try {
      const script = await readFile(join(GOLDEN_FOLDER, 'generate.py'), 'utf8');
      await runPython(interpreter.path, script, [folder]);
      for (const file of ['vectors.safetensors', 'figures.jsonl']) {
        const [made, committed] = [await readFile(join(folder, file)), await readFile(join(GOLDEN_FOLDER, file))];
        assert.ok(made.equals(committed), `${file} is not up to date: run test/golden/generate.py test/golden`);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
