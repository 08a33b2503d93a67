import { type Context, readFineTune, type Setting, suiteOf } from '../context.js';
import { percent, plural, table } from '../markdown.js';
import { mean } from '../maths/statistics.js';
import { ENTRIES, type Entry } from '../methods/catalogue.js';
import { type EntryResult, type NotRun, runEntry } from '../methods/run.js';
import { SUITES, type SuiteName } from '../suites/suites.js';
import { ofTask } from '../training/joint.js';
import { specsOf } from '../training/needs.js';
import type { ArchitectureName, HeadProtocol } from '../training/specs.js';
import type { Part } from './types.js';

const CLASSES = 10;

type Accuracies = Readonly<Record<string, number>>;

interface Comparison {
  readonly individual: Accuracies;
  readonly joint?: Accuracies;
  readonly entries: readonly (EntryResult | NotRun)[];
}

export interface ComparisonOptions {
  readonly name: string;
  readonly title: string;
  /** What has to be known of it, in Markdown. */
  readonly about: string;
  readonly suite: SuiteName;
  readonly architecture: ArchitectureName;
  readonly head: HeadProtocol;
  readonly joint: boolean;
  /** Whether each task has its own table beside the average. */
  readonly perTask: boolean;
  readonly entries?: readonly Entry[];
}

/** All methods on one suite: the shape of the paper's Tables 1 and 14. */
export function comparison(options: ComparisonOptions): Part<Comparison> {
  const { name, suite, architecture, head, joint } = options;
  const entries = options.entries ?? ENTRIES;
  return {
    name,
    version: 1,
    models: (seed) => specsOf({ suite, seed, architecture, heads: [head], joint }),
    async run(context, seed) {
      const setting: Setting = { suite, seed, architecture, head };
      const own = await individual(context, setting);
      const results = [];
      for (const entry of entries) results.push(await runEntry(context, setting, entry));
      return { individual: own, ...(joint ? { joint: await jointly(context, setting) } : {}), entries: results };
    },
    complete: ({ entries: results }) => results.every((entry) => 'accuracies' in entry),
    render: (results) => render(options, results),
  };
}

async function individual(context: Context, setting: Setting): Promise<Accuracies> {
  const accuracies: Record<string, number> = {};
  const evaluator = context.evaluator(setting.architecture);
  for (const task of suiteOf(setting).tasks) {
    accuracies[task.name] = (await evaluator.accuracy(task, 'test', await readFineTune(context, setting, task)))!;
  }
  return accuracies;
}

async function jointly(context: Context, { suite, seed, architecture }: Setting): Promise<Accuracies> {
  const accuracies: Record<string, number> = {};
  const evaluator = context.evaluator(architecture);
  const weights = await context.models.read({ kind: 'joint', architecture, suite, seed });
  for (const [place, task] of SUITES[suite].tasks.entries()) {
    accuracies[task.name] = (await evaluator.accuracy(task, 'test', ofTask(weights, place, CLASSES)))!;
  }
  return accuracies;
}

/** One row of the tables: accuracies by task, for each seed. */
interface Row {
  readonly name: string;
  readonly uses: string;
  readonly settings: readonly string[];
  readonly seeds: readonly Accuracies[];
}

/** The results of the entry of this name, in the order of the seeds; only where all of them have it. */
function runsOf(results: readonly Comparison[], name: string): EntryResult[] | undefined {
  const found = results.map(({ entries }) => entries.find((entry) => entry.name === name));
  const runs = found.filter((entry) => entry !== undefined && 'accuracies' in entry);
  return runs.length === results.length ? runs : undefined;
}

function rowsOf(results: readonly Comparison[]): { rows: Row[]; notRun: string[] } {
  const plain = (name: string, uses: string, seeds: readonly Accuracies[]): Row => ({
    name,
    uses,
    settings: [],
    seeds,
  });
  const rows = [
    plain(
      'Individual',
      '',
      results.map((result) => result.individual),
    ),
  ];
  const joint = results.map((result) => result.joint).filter((accuracies) => accuracies !== undefined);
  if (joint.length > 0) rows.push(plain('Joint training (traditional MTL)', 'all training data', joint));
  const notRun: string[] = [];
  for (const { name } of results[0]!.entries) {
    const runs = runsOf(results, name);
    if (runs === undefined) notRun.push(name);
    else {
      const uses = runs[0]!.uses === 'nothing' ? '' : runs[0]!.uses;
      rows.push({ name, uses, settings: runs.map(({ setting }) => setting), seeds: runs.map((run) => run.accuracies) });
    }
  }
  return { rows, notRun };
}

const average = (accuracies: Accuracies) => mean(Object.values(accuracies));
const distinct = (values: readonly string[]) => [...new Set(values.filter(Boolean))].join('; ');

function render({ title, about, perTask }: ComparisonOptions, results: readonly Comparison[]): string {
  const { rows, notRun } = rowsOf(results);
  const own = results.map(({ individual: accuracies }) => average(accuracies));
  const overview = table(
    ['method', 'accuracy in %', 'of Individual in %', 'uses beside checkpoints', 'setting picked'],
    rows.map(({ name, uses, settings, seeds }) => [
      name,
      percent(seeds.map(average)),
      percent(seeds.map((accuracies, seed) => average(accuracies) / own[seed]!)),
      uses,
      distinct(settings),
    ]),
  );
  const text = [
    `## ${title}`,
    about,
    `${plural(results.length, 'seed')}; mean over the tasks.`,
    overview,
    findings(rows),
  ];
  if (notRun.length > 0) text.push(`Not run yet: ${notRun.join(', ')}.`);
  if (perTask) text.push('By task, accuracy in %:', byTask(rows));
  const sweeps = sweepTable(results);
  if (sweeps)
    text.push('Every setting that was tried, accuracy in % on validation images (not on test images):', sweeps);
  return text.join('\n\n');
}

/** What the table says about EMR, also where it loses; all of it computed. */
function findings(rows: readonly Row[]): string {
  const emr = rows.find(({ name }) => name === 'EMR, global')!;
  const overall = ({ seeds }: Row) => mean(seeds.map(average));
  const behind = (row: Row) =>
    percent(row.seeds.map((accuracies, seed) => average(accuracies) - average(emr.seeds[seed]!)));
  const others = rows.filter((row) => row !== emr && row.name !== 'Individual');
  const ahead = others.filter((row) => overall(row) > overall(emr));
  const oneModel = others.filter(({ name }) => !name.startsWith('EMR') && !name.startsWith('Joint'));
  const best = oneModel.reduce((top, row) => (overall(row) > overall(top) ? row : top));
  const tasks = Object.keys(emr.seeds[0]!);
  const onTask = (row: Row, task: string) => mean(row.seeds.map((accuracies) => accuracies[task]!));
  const lost = tasks.flatMap((task) => {
    const better = oneModel
      .filter((row) => onTask(row, task) > onTask(emr, task))
      .sort((a, b) => onTask(b, task) - onTask(a, task));
    return better.length > 0 ? `${task} (${better[0]!.name})` : [];
  });
  return [
    `- Individual is ahead of EMR (global, Eq. 13) by ${behind(rows[0]!)} points.`,
    ahead.length > 0
      ? `- Ahead of EMR, in points: ${ahead.map((row) => `${row.name} ${behind(row)}`).join('; ')}.`
      : '- Nothing else is ahead of EMR.',
    `- The best method that makes one model is ${best.name}: ${behind(best)} points against EMR.`,
    lost.length > 0
      ? `- Tasks on which a method that makes one model is ahead of EMR: ${lost.join(', ')}.`
      : '- On no task is a method that makes one model ahead of EMR.',
  ].join('\n');
}

/** The columns of the table by task; all methods would not fit a page. */
const SHOWN = [
  'Individual',
  'Joint training (traditional MTL)',
  'Weight averaging',
  'Task Arithmetic',
  'TIES, official',
  'Fisher merging',
  'RegMean',
  'AdaMerging++, layer-wise',
  'EMR, elect only',
  'EMR, elect and mask',
  'EMR, global',
  'EMR, l2',
];

function byTask(rows: readonly Row[]): string {
  const tasks = Object.keys(rows[0]!.seeds[0]!);
  const shown = rows.filter(({ name }) => SHOWN.includes(name));
  return table(
    ['task', ...shown.map(({ name }) => name)],
    tasks.map((task) => [task, ...shown.map(({ seeds }) => percent(seeds.map((accuracies) => accuracies[task]!)))]),
  );
}

function sweepTable(results: readonly Comparison[]): string | undefined {
  const rows = results[0]!.entries.flatMap(({ name }) => {
    const runs = runsOf(results, name) ?? [];
    return (runs[0]?.sweep ?? []).map(({ setting }, place) => [
      name,
      setting,
      percent(runs.map(({ sweep }) => sweep![place]!.accuracy)),
    ]);
  });
  return rows.length > 0 ? table(['method', 'setting', 'accuracy in %'], rows) : undefined;
}
