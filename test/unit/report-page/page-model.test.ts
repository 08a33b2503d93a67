/** What a page says of a merge, before it has a look: against figures made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rescalers } from '../../../src/merge/rescalers.js';
import { MAX_LAYERS_DRAWN, MAX_TASKS_DRAWN, MAX_TENSOR_ROWS } from '../../../src/report-page/limits.js';
import { renderPage } from '../../../src/report-page/page.js';
import { pageModel } from '../../../src/report-page/page-model.js';
import type { TaskFigures } from '../../../src/report-page/steps.js';
import type { HeatFigure, PageInput, ReportData } from '../../../src/report-page/types.js';

const same = (value: number) => ({ global: value, tensor_mean: value, l2: value });
const figures = (n: number, density: number, distance: number) => ({
  n,
  density,
  sign_conflicts: 1 - density,
  tau_squared_norm: 4 * n,
  rescalers: rescalers([]),
  distances: { unified: 9 * n, masked: 4 * n, rescaled: same(distance * n) },
  cosine: { unified: 0.25, masked: 0.5, rescaled: same(0.5) },
});

function input(tasks: number, tensors: readonly string[], more: Partial<PageInput> = {}): PageInput {
  const task = (t: number): TaskFigures => ({
    checkpoint: `ft-${t}`,
    ...figures(100, 0.5, 1 + t),
    tensor_scope: { distances: figures(100, 0.5, 1).distances, cosine: figures(100, 0.5, 1).cosine },
    tensors: Object.fromEntries(tensors.map((name, k) => [name, figures(k === 0 ? 30 : 10, k === 0 ? 1 : 0.5, 1 + k)])),
  });
  const report: ReportData = {
    method: { type: 'emr', zero_sign: 'zero', rescaler: 'l2', scope: 'model' },
    base: 'base',
    parameters: 100,
    unified: { abs_sum: 1, squared_norm: 1 },
    tasks: Object.fromEntries(Array.from({ length: tasks }, (_, t) => [`task-${t}`, task(t)])),
    storage: { bundle_bytes: 10, checkpoints_bytes: 40, ratio: 0.25 },
    warnings: ['a warning'],
  } as ReportData;
  const merge = { id: 'id', finished_at: '2026-01-02T03:04:05.678Z', seconds: 1.25 };
  return { merge, report, evaluations: [], ...more };
}

const sectionOf = (one: PageInput, title: string) =>
  pageModel(one).sections.find((section) => section.title === title)!;

test('distances are roots, means are over tasks, and masks end conflicts', () => {
  const { rows } = sectionOf(input(2, ['w']), 'Step by step').tables[0]!;
  const rescaled = (Math.sqrt(100) + Math.sqrt(200)) / 2;
  assert.deepEqual(rows, [
    ['unified', '50.0\u2009%', '30.00', '0.2500'],
    ['masked', '0.0\u2009%', '20.00', '0.5000'],
    ['rescaled', '0.0\u2009%', rescaled.toPrecision(4), '0.5000'],
  ]);
});

test('the headline and the distance left are those of the last step that the method takes', () => {
  const whole = input(1, ['w']);
  const { report } = whole;
  for (const [steps, cosine, left] of [
    ['elect', '0.2500', 1.5],
    ['mask', '0.5000', 1],
    ['rescale', '0.7500', 0.5],
  ] as const) {
    const task = report.tasks['task-0']!;
    const turned = { ...task, cosine: { unified: 0.25, masked: 0.5, rescaled: same(0.75) } } as TaskFigures;
    const method = { ...report.method, steps } as ReportData['method'];
    const page = { ...whole, report: { ...report, method, tasks: { 'task-0': turned } } };
    const { tiles } = pageModel(page);
    assert.equal(tiles.find(({ label }) => label === 'Cosine to the fine-tune')!.value, cosine);
    const [, , distance] = sectionOf(page, 'Layers').figures as HeatFigure[];
    assert.equal(distance!.values[0]![0], left);
    assert.deepEqual(
      sectionOf(page, 'Step by step').tables[0]!.rows.map(([name]) => name),
      ['unified', 'masked', 'rescaled'],
      'all steps can be downloaded, so all are shown',
    );
  }
});

test('a layer counts its tensors by their elements', () => {
  const names = ['a.0', 'a.1', ...Array.from({ length: MAX_LAYERS_DRAWN }, (_, i) => `b${i}`)];
  const { figures: maps, notes } = sectionOf(input(1, names), 'Layers');
  const [density, , left] = maps as HeatFigure[];
  assert.equal(density!.rows[0], 'a.*');
  assert.equal(density!.values[0]![0], (30 * 1 + 10 * 0.5) / 40);
  assert.equal(left!.values[0]![0], Math.sqrt((1 * 30 + 2 * 10) / (4 * 40)));
  assert.match(notes.join(), /42 tensors are put together to 40 rows/);
});

test('what does not fit a page is left out with a note, and the tables of tasks are whole', () => {
  const names = Array.from({ length: 300 }, (_, i) => `layer.${i}.weight`);
  const many = input(MAX_TASKS_DRAWN + 10, names);
  const tasks = sectionOf(many, 'Tasks');
  for (const figure of tasks.figures) assert.equal(figure.rows.length, MAX_TASKS_DRAWN);
  assert.match(tasks.notes.join(), /40 of 50 tasks/);
  for (const table of tasks.tables) assert.equal(table.rows.length, 50);
  // The first ten are the nearest to their fine-tunes.
  assert.equal((tasks.figures[0] as { rows: readonly { label: string }[] }).rows[0]!.label, 'task-10');
  const { tables } = sectionOf(many, 'Tensors');
  assert.equal(tables.length, 50);
  for (const { rows, note } of tables) {
    assert.equal(rows.length, MAX_TENSOR_ROWS / 50);
    assert.match(note!, /30 of 300 tensors/);
    // Those with the largest distance: the last ones.
    assert.equal(rows[0]![0], 'layer.270.weight');
  }
});

test('a method of one model has no masks: its page compares base and merged model', () => {
  const one = input(2, ['w']);
  const merged = { distances: { merged: 100 }, cosine: { merged: 0.5 } };
  const plain = { n: 100, density: 0.5, sign_conflicts: 0.5, tau_squared_norm: 400, ...merged };
  const task = { checkpoint: 'ft', ...plain, tensors: { w: plain } };
  const method = { type: 'average' } as ReportData['method'];
  const report = { ...one.report, method, tasks: { a: task, b: task } } as ReportData;
  const model = pageModel({ ...one, report });
  assert.ok(!model.sections.some(({ title }) => title === 'Step by step'));
  assert.deepEqual(model.sections[0]!.tables[0]!.rows[0], [
    'a',
    'ft',
    '100',
    '50.0\u2009%',
    '20.00',
    '10.00',
    '0.5000',
    '0.5000',
  ]);
  assert.match(renderPage({ ...one, report }), /<svg /);
});

test('evaluations are drawn by task and setting, the newest of each', () => {
  const evaluation = {
    job: 'j',
    task: 't',
    dataset: 'd',
    accuracy: 0.5,
    loss: 1,
    n: 10,
    backend: 'wasm',
    at: '2026-01-02T03:04:05.678Z',
  };
  const older = { ...evaluation, accuracy: 0.1 };
  const evaluations = [older, evaluation, { ...evaluation, rescaler: 'l2', accuracy: 0.75 }];
  const { figures: plots, tables } = sectionOf(input(1, ['w'], { evaluations }), 'Evaluations');
  assert.deepEqual(plots[0]!.rows, [{ label: 't', values: [0.5, 0.75] }]);
  assert.deepEqual(tables[0]!.rows[2]!.slice(0, 4), ['t', 'd', 'l2', '75.0\u2009%']);
  const other = sectionOf(
    input(1, ['w'], { evaluations: [evaluation, { ...evaluation, dataset: 'e' }] }),
    'Evaluations',
  );
  assert.deepEqual(
    other.figures[0]!.rows.map((row) => typeof row === 'object' && row.label),
    ['t on d', 't on e'],
  );
});

test('tensors without elements, and a task equal to the base, leave holes and no NaN', () => {
  const one = input(1, ['w']);
  const zero = { ...figures(0, 0, 0), tau_squared_norm: 0, distances: { unified: 0, masked: 0, rescaled: same(0) } };
  const report = { ...one.report, tasks: { t: { ...one.report.tasks['task-0']!, ...zero, tensors: { w: zero } } } };
  const page = renderPage({ ...one, report });
  assert.doesNotMatch(page, /NaN|undefined|Infinity/);
});
