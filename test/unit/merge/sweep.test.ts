import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmrError } from '../../../src/errors.js';
import { expandSweep, MAX_MERGES, sweepGrid, sweepTemplate } from '../../../src/merge/sweep.js';

const template = { base: 'base', tasks: [{ name: 't', checkpoint: 'ft' }] };
const expand = (methods: object[], more: object = {}) =>
  expandSweep(sweepTemplate.parse({ ...template, ...more }), sweepGrid.parse({ methods }));
const methodsOf = (methods: object[]) => expand(methods).map(({ method }) => method as Record<string, unknown>);

test('lists stand for all their combinations, the last changing fastest, also within an inner method', () => {
  const made = methodsOf([
    { type: 'average' },
    { type: 'dare', drop_rate: [0.3, 0.9], inner: { type: 'ties', lambda: [0.2, 0.4] } },
  ]);
  assert.deepEqual(
    made.slice(1).map(({ drop_rate, inner }) => [drop_rate, (inner as { lambda: number }).lambda]),
    [
      [0.3, 0.2],
      [0.3, 0.4],
      [0.9, 0.2],
      [0.9, 0.4],
    ],
  );
  assert.equal(made[0]!.type, 'average');
});

test('a value that is itself a list stands in a list of its own', () => {
  const layers = [{ pattern: '*', lambda: 2 }];
  const [one, two] = methodsOf([{ type: 'task_arithmetic', layers: [layers, []] }]);
  assert.deepEqual([one!.layers, two!.layers], [layers, []]);
});

test("the template's own method comes first, defaults are filled in, and its name is numbered", () => {
  const requests = expand([{ type: 'task_arithmetic', lambda: [0.1, 0.3] }], {
    name: 'sweep',
    method: { type: 'emr' },
  });
  assert.deepEqual(
    requests.map(({ name, method }) => [name, method.type]),
    [
      ['sweep-1', 'emr'],
      ['sweep-2', 'task_arithmetic'],
      ['sweep-3', 'task_arithmetic'],
    ],
  );
  assert.equal(requests[0]!.strict, false);
});

const refusal = (run: () => unknown) => {
  let found: EmrError | undefined;
  assert.throws(run, (error) => {
    found = error as EmrError;
    return error instanceof EmrError && error.code === 'invalid_request';
  });
  return found!;
};

test('a grid of too many merges is refused before it is made', () => {
  const many = Array.from({ length: 1000 }, (_, i) => i);
  const grid = [{ type: 'ties', a: many, b: many, c: many, d: { e: many } }];
  assert.deepEqual(refusal(() => expand(grid)).facts, { merges: 1e12, limit: MAX_MERGES });
  assert.equal(expand([{ type: 'task_arithmetic', lambda: many }]).length, MAX_MERGES);
});

test('a grid of few words that stands for very many is refused before it is made', () => {
  const coefficients = { t: Object.fromEntries(Array.from({ length: 9_999 }, (_, i) => [`layer.${i}`, 0.1])) };
  const density = Array.from({ length: 1_000 }, (_, i) => (i + 1) / 1_000);
  const { facts } = refusal(() => expand([{ type: 'adamerging', coefficients, trimmed: { density } }]));
  assert.equal(facts.limit, 2 ** 24);
  assert.equal(expand([{ type: 'adamerging', coefficients, trimmed: { density: density.slice(0, 3) } }]).length, 3);
});

test('every merge that does not fit is named', () => {
  const { issues } = refusal(() =>
    expand([
      { type: 'ties', lambda: [1, 'two'] },
      { type: 'ties', nothing: 1 },
    ]),
  ).facts as {
    issues: { index: number; path: string }[];
  };
  assert.deepEqual(
    issues.map(({ index, path }) => [index, path]),
    [
      [1, 'method.lambda'],
      [2, 'method'],
    ],
  );
  assert.throws(() => expand([{ type: 'nothing' }]), /expected one of/);
});

test('an empty list stands for no merge and is refused, also beside lists that would stand for very many', () => {
  assert.throws(() => methodsOf([{ type: 'task_arithmetic', lambda: [] }]), /empty list/);
  assert.throws(() => methodsOf([{ type: 'dare', inner: { type: 'ties', lambda: [] } }]), /empty list/);
  const many = Array.from({ length: 1_000 }, (_, i) => i);
  assert.throws(() => methodsOf([{ type: 'ties', a: many, b: many, c: many, d: [] }]), /empty list/);
  assert.equal(methodsOf([{ type: 'task_arithmetic', layers: [[]] }]).length, 1, 'one value, which is an empty list');
});

test('a grid nested beyond any stack is refused', () => {
  const nest = (wrap: (inner: unknown) => unknown) => {
    let value: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) value = wrap(value);
    return value;
  };
  for (const x of [nest((a) => ({ a })), nest((a) => [a])]) {
    assert.throws(() => methodsOf([{ type: 'ties', x }]), /nested deeper than 16/);
  }
});
