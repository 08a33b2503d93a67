/** SEMANTICS, "Which tensors are merged": a test for each row of its table, and what the plan says beside it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutSafetensors } from '../../../src/checkpoint/safetensors-layout.js';
import type { FloatDtype } from '../../../src/dtype.js';
import { MAX_LISTED } from '../../../src/merge/listed.js';
import { memoryBytes } from '../../../src/merge/memory.js';
import { type MergePlan, planMerge, plannedFiles } from '../../../src/merge/plan.js';
import { inputBytes } from '../../../src/merge/stages.js';
import { classesOf, planOf, recordOf, sourcesOf, type TensorShape } from '../../helpers/records.js';
import { requestOf } from '../../helpers/services.js';

const w = { w: ['F32', [2, 3]] } as const;
/** The plan with one more tensor in the base and in two tasks (`undefined`: not there). */
const planWith = (base?: TensorShape, one?: TensorShape, two?: TensorShape, request: object = {}) => {
  const tensors = (x?: TensorShape) => ({ ...w, ...(x ? { x } : {}) });
  return planOf(tensors(base), [tensors(one), tensors(two)], request);
};
const classOf = (...given: Parameters<typeof planWith>) => classesOf(planWith(...given)).x;

test('float, of one shape everywhere: merged, whatever the float dtypes', () => {
  for (const dtype of ['F64', 'F32', 'BF16', 'F16'] as const) {
    assert.equal(classOf([dtype, [4]], [dtype, [4]], [dtype, [4]]), 'merged');
    assert.equal(classOf(['F32', [4]], [dtype, [4]], ['F16', [4]]), 'merged');
  }
  assert.equal(classOf(['F32', []], ['F32', []], ['F32', []]), 'merged');
  assert.equal(classOf(['F32', [0, 3]], ['F32', [0, 3]], ['F32', [0, 3]]), 'merged');
  assert.deepEqual(sourcesOf(planWith(['F32', [4]], ['F32', [4]], ['F32', [4]])), { w: 'merged', x: 'merged' });
});

test('not float and identical everywhere: shared with the base', () => {
  for (const dtype of ['I64', 'I32', 'I16', 'I8', 'U64', 'U32', 'U16', 'U8', 'BOOL'] as const) {
    const plan = planWith([dtype, [4]], [dtype, [4]], [dtype, [4]], { strict: true });
    assert.equal(classesOf(plan).x, 'base_shared not_float');
    assert.deepEqual([sourcesOf(plan).x, plan.tasks[0]!.extras, plan.conflicts], ['base', [], []]);
  }
});

test('not float and different: kept per task, by those whose bytes are not the base’s', () => {
  const plan = planWith(['I64', [4], 'a'], ['I64', [4], 'a'], ['I64', [4], 'b']);
  assert.equal(classesOf(plan).x, 'task_specific values_differ');
  assert.deepEqual([sourcesOf(plan, 0).x, sourcesOf(plan, 1).x], ['base', 'extras']);
  assert.match(plan.warnings.join(), /x \(I64\) of task-2 differs from the base/);
});

test('excluded by a pattern: kept per task, and no conflict even where strict', () => {
  const plan = planWith(['F32', [4]], ['F32', [4]], ['F32', [4]], { exclude: ['x'], strict: true });
  assert.equal(classesOf(plan).x, 'task_specific excluded');
  assert.deepEqual([sourcesOf(plan).x, plan.conflicts, plan.warnings], ['extras', [], []]);
});

test('not included: kept per task', () => {
  const request = { include: ['w'], strict: true };
  assert.deepEqual(classesOf(planWith(['F32', [4]], ['F32', [4]], ['F32', [4]], request)), {
    w: 'merged',
    x: 'task_specific excluded',
  });
});

test('absent from the base: kept by the tasks that have it', () => {
  const plan = planWith(undefined, ['F32', [4]], undefined);
  assert.equal(classesOf(plan).x, 'task_specific not_in_base');
  assert.deepEqual([sourcesOf(plan, 0), sourcesOf(plan, 1)], [{ w: 'merged', x: 'extras' }, { w: 'merged' }]);
});

test('of another shape than the base’s in one task: kept by all', () => {
  const plan = planWith(['F32', [4]], ['F32', [4]], ['F32', [2, 2]]);
  assert.equal(classesOf(plan).x, 'task_specific shape_mismatch');
  assert.deepEqual([sourcesOf(plan, 0).x, sourcesOf(plan, 1).x], ['extras', 'extras']);
  assert.match(plan.warnings.join(), /x has shape \[2,2\] in task-2 and \[4\] in the base/);
});

test('float in the base and not in a task: kept per task', () => {
  assert.equal(classOf(['F32', [4]], ['F32', [4]], ['I32', [4]]), 'task_specific dtype_mismatch');
});

test('in the base and absent from a task: not in that task’s model, and kept by the others', () => {
  const plan = planWith(['F32', [4]], ['F32', [4]], undefined);
  assert.equal(classesOf(plan).x, 'task_specific missing_in_task');
  assert.deepEqual([sourcesOf(plan, 0), sourcesOf(plan, 1)], [{ w: 'merged', x: 'extras' }, { w: 'merged' }]);
});

test('in the base alone: missing, in no model of a task, and no conflict', () => {
  const plan = planWith(['F32', [4]], undefined, undefined, { strict: true });
  assert.equal(classesOf(plan).x, 'missing');
  assert.deepEqual([sourcesOf(plan), plan.conflicts], [{ w: 'merged' }, []]);
});

test('strict makes every implicit extra a conflict, all of them at once', () => {
  const plan = planOf(
    { ...w, a: ['F32', [4]], b: ['I64', [1], 'base'], c: ['F32', [1]] },
    [
      { ...w, a: ['F32', [5]], b: ['I64', [1], 'other'], new: ['F32', [1]], c: ['F32', [1]] },
      { ...w, a: ['F32', [6]], b: ['I64', [1], 'base'] },
    ],
    { strict: true },
  );
  const found = plan.conflicts.map(({ kind, tensor, task }) => `${kind} ${tensor} ${task}`);
  assert.deepEqual(found.sort(), [
    'missing_in_task c task-2',
    'not_in_base new task-1',
    'shape_mismatch a task-1',
    'shape_mismatch a task-2',
    'values_differ b task-1',
  ]);
  assert.deepEqual(plan.warnings, []);
});

test('conflicts, and warnings, are told up to a thousand; those beyond are counted', () => {
  const half = MAX_LISTED / 2 + 1;
  const many = (size: number) => Object.fromEntries(Array.from({ length: half }, (_, i) => [`t${i}`, ['F32', [size]]]));
  const of = (request: object) => planOf({ ...w, ...many(1) }, [many(2), many(3)] as never, request);
  const strict = of({ strict: true });
  assert.deepEqual([strict.conflicts.length, strict.conflictCount], [MAX_LISTED, 2 * half + 1]);
  assert.equal(strict.conflicts[0]!.kind, 'nothing_to_merge');
  assert.deepEqual(strict.warnings, []);
  const lenient = of({});
  assert.deepEqual([lenient.conflicts.length, lenient.conflictCount], [1, 1]);
  assert.deepEqual([lenient.warnings.length, lenient.warnings.at(-1)], [MAX_LISTED + 1, 'And 2 more.']);
});

test('a pattern that matches nothing, or nothing that is merged, is a warning, and changes nothing else', () => {
  const told = (pattern: string, list: string, what: string) =>
    `The pattern ${pattern} in ${list} matches no ${what}, or none that is not matched before it.`;
  const plan = planOf({ ...w, x: ['F32', [1]] }, [{ ...w, x: ['F32', [1]] }], {
    exclude: ['x', 'haed.*'],
    include: ['w', 'x', 'none'],
    method: {
      type: 'task_arithmetic',
      layers: [
        { pattern: 'x', lambda: 1 },
        { pattern: 'w', lambda: 1 },
      ],
    },
  });
  assert.deepEqual(plan.warnings, [
    told('none', 'include', 'tensor'),
    told('haed.*', 'exclude', 'tensor'),
    told('x', 'layers', 'tensor that is merged'),
  ]);
  assert.deepEqual(classesOf(plan), { w: 'merged', x: 'task_specific excluded' });
});

test('a plan that merges nothing is a conflict', () => {
  const plan = planOf(w, [w], { exclude: ['*'] });
  assert.deepEqual(
    plan.conflicts.map(({ kind }) => kind),
    ['nothing_to_merge'],
  );
});

test('patterns: * crosses dots and slashes, braces and classes are lists, ! and +( are not special', () => {
  const names = ['layers.0.q.weight', 'layers.1.q.weight', 'layers.1.k.weight', 'a/b', '!c', '.hidden'];
  const tensors = Object.fromEntries(names.map((name) => [name, ['F32', [1]] as const]));
  const excluded = (...patterns: string[]) =>
    planOf({ ...w, ...tensors }, [{ ...w, ...tensors }], { exclude: patterns })
      .tensors.filter(({ reason }) => reason === 'excluded')
      .map(({ name }) => name)
      .sort();
  assert.deepEqual(excluded('layers.*'), names.slice(0, 3).sort());
  assert.deepEqual(excluded('*.q.*'), names.slice(0, 2));
  assert.deepEqual(excluded('layers.{1,2}.*'), ['layers.1.k.weight', 'layers.1.q.weight']);
  assert.deepEqual(excluded('layers.[0].*'), ['layers.0.q.weight']);
  assert.deepEqual(excluded('a*'), ['a/b']);
  assert.deepEqual(excluded('*hidden'), ['.hidden']);
  assert.deepEqual(excluded('!c'), ['!c']);
  assert.deepEqual(excluded('layers'), []);
});

test('an F64 tensor is merged with a warning that it is rounded', () => {
  const plan = planWith(['F32', [4]], ['F64', [4]], ['F32', [4]], { strict: true });
  assert.deepEqual(plan.warnings, ['x is F64 in a checkpoint: it is rounded to F32 before it is merged.']);
});

test('sizes are those of the files: u, masks, extras, layouts, side files', () => {
  const base = { ...w, odd: ['BF16', [9]], head: ['F32', [2]] } as const;
  const plan = planOf(base, [base, { ...base, head: ['F32', [5]] }], { dtype: 'F16' });
  const sizes = new Map(plannedFiles(plan).map(({ path, bytes }) => [path, bytes]));
  const size = (...specs: Parameters<typeof layoutSafetensors>[0]) => layoutSafetensors(specs).bytes;
  const f16 = (name: string, shape: number[]) => ({ name, shape, dtype: 'F16' as const });
  const u8 = (name: string, n: number) => ({ name, shape: [n], dtype: 'U8' as const });
  assert.equal(sizes.get('unified.safetensors'), size(f16('w', [2, 3]), f16('odd', [9])));
  assert.equal(sizes.get('tasks/task-1/mask.safetensors'), size(u8('w', 1), u8('odd', 2)));
  assert.equal(sizes.get('tasks/task-2/extras.safetensors'), size({ name: 'head', shape: [5], dtype: 'F32' }));
  assert.equal(sizes.get('tasks/task-2/files/config.json'), 12);
  assert.equal(sizes.size, 1 + 2 * 4);
  assert.equal(inputBytes(plan), 3 * (6 * 4 + 9 * 2));
});

test('the one model of average has the base’s dtypes and its other tensors', () => {
  const base = { w: ['BF16', [4]], x: ['F64', [1]], head: ['F32', [2]], ids: ['I64', [3]] } as const;
  const plan = planOf(base, [base], { method: { type: 'average' }, exclude: ['head'] });
  assert.deepEqual(Object.fromEntries(plan.output.tensors.map(({ name, dtype }) => [name, dtype])), {
    w: 'BF16',
    x: 'F64',
    head: 'F32',
    ids: 'I64',
  });
  assert.equal(plan.mask, undefined);
  const cast = planOf(base, [base], { method: { type: 'average' }, dtype: 'F16' });
  assert.deepEqual(Object.fromEntries(cast.output.tensors.map(({ name, dtype }) => [name, dtype])), {
    w: 'F16',
    x: 'F16',
    head: 'F16',
    ids: 'I64',
  });
});

test('the memory of a merge grows with tasks, threads, F64 and reads, and not with the model', () => {
  const plan = (n: number, ...dtypes: FloatDtype[]) =>
    planOf(
      { w: ['F32', [n]] },
      dtypes.map((dtype) => ({ w: [dtype, [n]] })),
    );
  const store = { readBytes: 2 ** 20 };
  const memory = (given: MergePlan, threads = 2) => memoryBytes(given, store, threads);
  const small = memory(plan(10, 'F32'));
  assert.equal(memory(plan(1e9, 'F32')), small);
  assert.equal(memory(plan(10, 'F32'), 4), 2 * small);
  assert.ok(memory(plan(10, 'F32', 'F32')) > small);
  assert.ok(memory(plan(10, 'F64')) > small);
  assert.equal(memoryBytes(plan(10, 'F32'), { readBytes: 2 ** 21 }, 2), 2 * small);
  // Many tasks on a store that likes large reads: smaller pieces, not more memory.
  const many = plan(10, ...Array.from({ length: 30 }, () => 'F32' as const));
  assert.ok(memoryBytes(many, { readBytes: 2 ** 23 }, 2) <= 64 * 2 ** 20);
});

test('parameters that do not fit the tasks are conflicts', () => {
  const details = (method: object) => planOf(w, [w, w], { method }).conflicts.map(({ detail }) => detail);
  assert.deepEqual(details({ type: 'average', weights: { 'task-1': 1 } }), ['weights lacks task task-2']);
  assert.deepEqual(details({ type: 'average', weights: { 'task-1': 0, 'task-2': 0 } }), ['weights are all zero']);
  assert.deepEqual(details({ type: 'average', weights: { 'task-1': 0, 'task-2': 1e-60 } }), ['weights are all zero']);
  assert.throws(() => details({ type: 'average', weights: { 'task-1': 1e300, 'task-2': 1 } }));
  assert.deepEqual(details({ type: 'task_arithmetic', lambdas: { other: 1 } }), [
    'lambdas names other, which is no task of this merge',
  ]);
});

test('a task may have the name of what every object has', () => {
  const tasks = ['task-1', 'constructor'].map((name) => ({ name, checkpoint: name }));
  const plan = (method: object) => {
    const records = tasks.map(({ name }) => ({ name, record: recordOf(name, w) }));
    return planMerge({
      request: requestOf({ base: 'base', tasks, method }),
      base: recordOf('base', w),
      tasks: records,
    });
  };
  const coefficients = (method: object) => {
    const { program } = plan(method).merged[0]!;
    return program.kind === 'linear' && program.coefficients;
  };
  const [conflict] = plan({ type: 'average', weights: { 'task-1': 1 } }).conflicts;
  assert.equal(conflict?.detail, 'weights lacks task constructor');
  assert.deepEqual(coefficients({ type: 'average', weights: { 'task-1': 1, constructor: 3 } }), [1, 3]);
  assert.deepEqual(coefficients({ type: 'task_arithmetic', lambda: 2, lambdas: { 'task-1': 1 } }), [1, 2]);
});
