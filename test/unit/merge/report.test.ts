/** report.json against figures worked out by hand, and against what the theory promises of any input. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { FloatDtype } from '../../../src/dtype.js';
import { createScalarEngine } from '../../../src/kernels/scalar.js';
import type { ZeroSign } from '../../../src/kernels/types.js';
import { buildReport } from '../../../src/merge/report.js';
import { planOf } from '../../helpers/records.js';

/** One value for each tensor, of the base or of a task. */
type Values = Readonly<Record<string, readonly number[]>>;

/** The report of a merge of F32 tensors, each merged by the reference engine; the base is 0 everywhere. */
function reportOf(tasks: readonly Values[], zero_sign: ZeroSign = 'zero', method: object = { type: 'emr', zero_sign }) {
  const shapes = Object.fromEntries(Object.entries(tasks[0]!).map(([name, x]) => [name, ['F32', [x.length]] as const]));
  const plan = planOf(
    shapes,
    tasks.map(() => shapes),
    { method },
  );
  const dtypes = tasks.map((): FloatDtype => 'F32');
  const sums = plan.merged.map(({ name, n, program }) => {
    const workspace = createScalarEngine().createMerge({ tasks: tasks.length, elements: 65_536, wide: false });
    if (n === 0) return workspace.sums(65_536).map(() => 0);
    tasks.forEach((values, t) => {
      workspace.input(t + 1, n, 'F32').set(new Uint8Array(Float32Array.from(values[name]!).buffer));
    });
    const tile = { n, base: 'F32', tasks: dtypes, output: 'F32' } as const;
    assert.ok(program.kind === 'emr' || program.kind === 'linear');
    const fault =
      program.kind === 'emr'
        ? workspace.emr({ ...tile, zeroSign: program.zeroSign })
        : workspace.linear({ ...tile, ...program, coefficients: Float32Array.from(program.coefficients) });
    assert.equal(fault, undefined);
    return workspace.sums(n);
  });
  return buildReport(plan, sums);
}

/** Of an EMR report, whose tasks have rescalers. */
function emrTask(report: ReturnType<typeof reportOf>, name: string) {
  const task = report.tasks[name]!;
  assert.ok('rescalers' in task && task.tensor_scope);
  return { ...task, tensor_scope: task.tensor_scope };
}

const COUNTER_EXAMPLE = [{ w: [1, -1, -1] }, { w: [1, 2, 2] }];

test('the counter-example: Eq. 13 does not minimise Eq. 12, and can be worse than the mask alone', () => {
  const report = reportOf(COUNTER_EXAMPLE);
  const one = emrTask(report, 'task-1');
  assert.deepEqual(one.rescalers, { global: 3, tensor_mean: 3, l2: 1 });
  assert.deepEqual(one.distances, { unified: 18, masked: 2, rescaled: { global: 6, tensor_mean: 6, l2: 2 } });
  assert.deepEqual([one.n, one.density, one.sign_conflicts, one.tau_squared_norm], [3, 1 / 3, 2 / 3, 3]);
  assert.equal(one.cosine.unified, (1 - 4) / (Math.sqrt(3) * 3));
  assert.equal(one.cosine.masked, 1 / Math.sqrt(3));
  assert.deepEqual(report.unified, { abs_sum: 5, squared_norm: 9 });
  const two = emrTask(report, 'task-2');
  assert.deepEqual(two.rescalers, { global: 1, tensor_mean: 1, l2: 1 });
  assert.deepEqual(two.distances, { unified: 0, masked: 0, rescaled: { global: 0, tensor_mean: 0, l2: 0 } });
  assert.deepEqual(report.warnings, []);
});

test('tensors of unequal size: the three rescalers differ, and scope tensor has one for each', () => {
  // u is (4, 4, 2) on a and (8) on b; task 1 agrees with all of it.
  const report = reportOf([
    { a: [2, 4, 2], b: [2], none: [] },
    { a: [4, 1, 1], b: [8], none: [] },
  ]);
  const one = emrTask(report, 'task-1');
  const global = (8 + 2) / (10 + 8);
  const tensorMean = (8 / 3 + 2) / (10 / 3 + 8);
  assert.deepEqual(one.rescalers, { global, tensor_mean: tensorMean, l2: (8 + 16 + 4 + 16) / (16 + 16 + 4 + 64) });
  const tensors = one.tensors as Record<string, { n: number; rescalers: object }>;
  assert.deepEqual(tensors.a!.rescalers, { global: 0.8, tensor_mean: 8 / 3 / (10 / 3), l2: 28 / 36 });
  assert.deepEqual(tensors.b!.rescalers, { global: 0.25, tensor_mean: 0.25, l2: 0.25 });
  assert.deepEqual(tensors.none!.rescalers, { global: 0, tensor_mean: 0, l2: 0 });
  assert.ok(one.tensor_scope.distances.rescaled.l2 < one.distances.rescaled.l2);
  assert.equal(one.tensor_scope.distances.masked, one.distances.masked);
});

test('a task equal to the base has rescalers 0 and a warning', () => {
  const report = reportOf([{ w: [0, 0] }, { w: [1, 2] }]);
  const one = emrTask(report, 'task-1');
  assert.deepEqual([one.rescalers, one.density], [{ global: 0, tensor_mean: 0, l2: 0 }, 0]);
  assert.deepEqual([one.cosine.unified, one.cosine.masked], [0, 0]);
  assert.deepEqual(report.warnings, ['task-1 equals the base in every merged tensor: its rescalers are 0.']);
});

test('a task that agrees nowhere has rescalers 0 and a warning', () => {
  const report = reportOf([{ w: [-1, 1] }, { w: [2, -2] }]);
  assert.deepEqual(emrTask(report, 'task-1').rescalers, { global: 0, tensor_mean: 0, l2: 0 });
  assert.deepEqual(report.warnings, ['Nothing of task-1 agrees in sign with the unified vector: its rescalers are 0.']);
});

test('a rescaler beyond f32 is a warning', () => {
  const { warnings } = reportOf([{ w: [1e30, 1e-40] }, { w: [-2e30, 1e-40] }]);
  assert.match(warnings[0]!, /^The global rescaler of task-1, 1\.\d+e\+70, is beyond f32/);
  assert.ok(warnings.some((warning) => /of task-1 for w, .* is beyond f32/.test(warning)));
  assert.ok(warnings.every((warning) => !warning.includes('task-2')));
});

test('sums of exactly 0: nothing is elected in the paper’s reading, the negative side in the official code’s', () => {
  const tasks = [{ w: [1, 3] }, { w: [-1, 3] }];
  const paper = reportOf(tasks, 'zero');
  const official = reportOf(tasks, 'negative');
  assert.deepEqual(paper.unified, { abs_sum: 3, squared_norm: 9 });
  assert.deepEqual(official.unified, { abs_sum: 4, squared_norm: 10 });
  assert.equal(emrTask(paper, 'task-2').density, 0.5);
  assert.equal(emrTask(official, 'task-2').density, 1);
});

test('the report of one model says how far it is from each fine-tune, and has no rescalers', () => {
  const report = reportOf([{ w: [1, 3] }, { w: [3, -1] }], 'zero', { type: 'average' });
  const one = report.tasks['task-1']!;
  assert.ok(!('rescalers' in one));
  // The mean is (2, 1).
  assert.deepEqual(one.distances, { merged: 1 + 4 });
  assert.deepEqual(one.cosine, { merged: (2 + 3) / (Math.sqrt(10) * Math.sqrt(5)) });
});

const weight = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 }),
);
const suites = fc
  .tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([tasks, a, b]) =>
    fc.array(
      fc.record({
        a: fc.array(weight, { minLength: a, maxLength: a }),
        b: fc.array(weight, { minLength: b, maxLength: b }),
      }),
      { minLength: tasks, maxLength: tasks },
    ),
  );

test('of any input: the mask never moves u away, l2 never moves the mask away and is at most 1', () => {
  fc.assert(
    fc.property(suites, fc.constantFrom<ZeroSign>('zero', 'negative'), (tasks, zeroSign) => {
      const report = reportOf(tasks, zeroSign);
      for (const name of Object.keys(report.tasks)) {
        const { distances, tensor_scope, rescalers, tau_squared_norm } = emrTask(report, name);
        // f64 sums of at most 18 products: what they cancel to is exact to this.
        const room = 1e-12 * (tau_squared_norm + report.unified.squared_norm);
        assert.ok(distances.masked <= distances.unified + room);
        assert.ok(distances.rescaled.l2 <= distances.masked + room);
        assert.ok(tensor_scope.distances.rescaled.l2 <= distances.rescaled.l2 + room);
        for (const kind of ['global', 'tensor_mean'] as const) {
          assert.ok(distances.rescaled.l2 <= distances.rescaled[kind] + room, `l2 is the minimiser: ${kind}`);
        }
        assert.ok(rescalers.l2 <= 1 + 1e-12);
      }
    }),
    { numRuns: 500 },
  );
});
