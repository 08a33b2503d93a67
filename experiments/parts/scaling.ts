import { createRandom, shuffled } from '../../examples/digits/random.js';
import { type Context, readFineTune, type Setting, suiteOf } from '../context.js';
import { percent, plural, table } from '../markdown.js';
import { mean } from '../maths/statistics.js';
import type { Candidate, Entry } from '../methods/catalogue.js';
import { runEntry } from '../methods/run.js';
import { mergeTasks } from '../service/merging.js';
import type { SuiteName } from '../suites/suites.js';
import type { SuiteTask } from '../suites/types.js';
import { specsOf } from '../training/needs.js';
import type { Part } from './types.js';

export interface ScalingOptions {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly suite: SuiteName;
  /** Numbers of tasks, the last being all. */
  readonly counts: readonly number[];
  /** Random sets of tasks for each number; all tasks are one set. */
  readonly draws: number;
}

/** Of one set of tasks. */
interface Point {
  readonly tasks: number;
  /** Mean accuracy on test images, by method. */
  readonly accuracies: Readonly<Record<string, number>>;
  /** Mean mask density and rescaler over the tasks. */
  readonly density: number;
  readonly rescaler: number;
  /** Mean of ‖τ − λ·M⊙u‖² / ‖τ‖², with Eq. 13 and with `l2`. */
  readonly distance: { readonly global: number; readonly l2: number };
}

const emr = (name: string, rescaler: string, scope: string): Entry => ({
  name,
  uses: 'nothing',
  candidates: [{ setting: '', method: { type: 'emr' }, rendering: { rescaler, scope } }],
});

/** The methods of the curves. Coefficients of sums go with 1/N, so that each number of tasks has a grid of its own. */
function entriesFor(count: number): Entry[] {
  const lambdas = [0.5, 1, 2, 3].map((share): Candidate => {
    const lambda = Number((share / count).toPrecision(4));
    return { setting: `λ ${lambda}`, method: { type: 'task_arithmetic', lambda } };
  });
  const ties = [0.5, 1, 2].map(
    (lambda): Candidate => ({
      setting: `keep 0.2, λ ${lambda}`,
      method: { type: 'ties', dialect: 'official', density: 0.2, lambda },
    }),
  );
  return [
    { name: 'Weight averaging', uses: 'nothing', candidates: [{ setting: '', method: { type: 'average' } }] },
    { name: 'Task Arithmetic', uses: 'validation labels', candidates: lambdas },
    { name: 'TIES', uses: 'validation labels', candidates: ties },
    emr('EMR', 'global', 'model'),
    emr('EMR, l2', 'l2', 'model'),
    emr('EMR, per tensor', 'global', 'tensor'),
  ];
}

/** Accuracy against the number of tasks: the paper's Table 15, and its open question beyond 30. */
export function scaling(options: ScalingOptions): Part<Point[]> {
  const { suite, counts, draws } = options;
  return {
    name: options.name,
    version: 1,
    models: (seed) => specsOf({ suite, seed, architecture: 'mlp', heads: ['random'], joint: false }),
    async run(context, seed) {
      const setting: Setting = { suite, seed, architecture: 'mlp', head: 'random' };
      const all = suiteOf(setting).tasks;
      const points: Point[] = [];
      for (const count of counts) {
        for (let draw = 0; draw < (count === all.length ? 1 : draws); draw += 1) {
          const random = createRandom(1000 * count + draw);
          const places = shuffled(all.length, random)
            .slice(0, count)
            .sort((a, b) => a - b);
          points.push(
            await pointOf(
              context,
              setting,
              places.map((place) => all[place]!),
            ),
          );
        }
      }
      return points;
    },
    complete: (points) => points.every(({ accuracies }) => 'TIES' in accuracies),
    render: (results) => render(options, results),
  };
}

async function pointOf(context: Context, setting: Setting, tasks: readonly SuiteTask[]): Promise<Point> {
  context.say(`  ${plural(tasks.length, 'task')}`);
  const individual: number[] = [];
  for (const task of tasks) {
    const key = { label: 'individual', from: { setting, task: task.name, version: 1 } };
    individual.push(
      await context.cache.result(key, async () => {
        const weights = await readFineTune(context, setting, task);
        return (await context.evaluator(setting.architecture).accuracy(task, 'test', weights))!;
      }),
    );
  }
  const accuracies: Record<string, number> = { Individual: mean(individual) };
  for (const entry of entriesFor(tasks.length)) {
    const result = await runEntry(context, setting, entry, tasks);
    if ('accuracies' in result) accuracies[result.name] = mean(Object.values(result.accuracies));
  }
  const report = await reportOf(context, setting, tasks);
  return { tasks: tasks.length, accuracies, ...report };
}

async function reportOf(context: Context, setting: Setting, tasks: readonly SuiteTask[]) {
  const key = { label: 'figures', from: { setting, tasks: tasks.map(({ name }) => name), version: 1 } };
  return context.cache.result(key, async () => {
    const report = await context.session.report(await mergeTasks(context, setting, tasks, { type: 'emr' }));
    const figures = Object.values(report.tasks);
    const relative = (kind: 'global' | 'l2') =>
      mean(figures.map(({ distances, tau_squared_norm }) => distances.rescaled[kind] / tau_squared_norm));
    return {
      density: mean(figures.map(({ density }) => density)),
      rescaler: mean(figures.map(({ rescalers }) => rescalers.global)),
      distance: { global: relative('global'), l2: relative('l2') },
    };
  });
}

function render({ title, about, counts }: ScalingOptions, results: readonly Point[][]): string {
  const names = Object.keys(results[0]![0]!.accuracies);
  /** One figure for each seed: the mean over its sets of tasks. */
  const bySeed = (count: number, figure: (point: Point) => number) =>
    results.map((points) => mean(points.filter(({ tasks }) => tasks === count).map(figure)));
  const accuracy = table(
    ['tasks', ...names, 'EMR against Individual, points'],
    counts.map((count) => [
      String(count),
      ...names.map((name) => percent(bySeed(count, ({ accuracies }) => accuracies[name]!))),
      percent(bySeed(count, ({ accuracies }) => accuracies.EMR! - accuracies.Individual!)),
    ]),
  );
  const modulators = table(
    ['tasks', 'mask density', 'λ, Eq. 13', '‖τ − λ·M⊙u‖² / ‖τ‖², Eq. 13', 'the same, l2'],
    counts.map((count) => [
      String(count),
      ...[
        bySeed(count, ({ density }) => density),
        bySeed(count, ({ rescaler }) => rescaler),
        bySeed(count, ({ distance }) => distance.global),
        bySeed(count, ({ distance }) => distance.l2),
      ].map((values) => figure(values)),
    ]),
  );
  return [
    `## ${title}`,
    about,
    `${plural(results.length, 'seed')}. Accuracy in %:`,
    accuracy,
    findings(counts, (count, name) => mean(bySeed(count, ({ accuracies }) => accuracies[name]!))),
    'Means over the tasks:',
    modulators,
  ].join('\n\n');
}

/** What the tables say, computed. */
function findings(counts: readonly number[], accuracy: (count: number, name: string) => number): string {
  const loss = (count: number) => (100 * (accuracy(count, 'Individual') - accuracy(count, 'EMR'))).toFixed(1);
  const name = (rival: string) => {
    const where = counts.filter((count) => accuracy(count, rival) > accuracy(count, 'EMR'));
    return where.length > 0
      ? `${rival} is ahead of EMR at ${where.join(', ')} tasks`
      : `${rival} is nowhere ahead of EMR`;
  };
  const rivals = ['Weight averaging', 'Task Arithmetic', 'TIES', 'EMR, l2', 'EMR, per tensor'];
  const known = rivals.filter((rival) => Number.isFinite(accuracy(counts[0]!, rival)));
  return [
    `- EMR's loss against Individual, in points: ${counts.map((count) => `${loss(count)} at ${count}`).join(', ')} tasks.`,
    ...known.map((rival) => `- ${name(rival)}.`),
  ].join('\n');
}

const figure = (values: readonly number[]) => mean(values).toFixed(3);
