import { RESCALERS } from '../../merge/rescalers.js';
import { count, number, percent } from '../format.js';
import { MAX_TASKS_DRAWN } from '../limits.js';
import { hasSteps, isModulated, lastStep, relativeDistance, stepsOf, type TaskFigures } from '../steps.js';
import type { BarFigure, PageInput, Section, Table } from '../types.js';

export const RESCALER_LABELS = { global: 'global', tensor_mean: 'tensor-mean', l2: 'l2' } as const;

type Entry = readonly [name: string, task: TaskFigures];

/** Those that a plot can hold: of too many, those that ended farthest from their fine-tunes; in the report's order. */
export function drawnTasks({ report }: PageInput): { tasks: Entry[]; notes: string[] } {
  const all = Object.entries(report.tasks);
  if (all.length <= MAX_TASKS_DRAWN) return { tasks: all, notes: [] };
  const farthest = all
    .map(([name, task]) => ({ name, distance: relativeDistance(task, report) }))
    .sort((a, b) => b.distance - a.distance)
    .slice(0, MAX_TASKS_DRAWN);
  const kept = new Set(farthest.map(({ name }) => name));
  return {
    tasks: all.filter(([name]) => kept.has(name)),
    notes: [
      `The plots show ${MAX_TASKS_DRAWN} of ${all.length} tasks: those whose model is farthest from its fine-tune, as a share of the task vector’s length. The tables have all tasks.`,
    ],
  };
}

export function taskSection(input: PageInput): Section {
  const { report } = input;
  const { tasks, notes } = drawnTasks(input);
  const modulated = isModulated(report);
  return {
    title: 'Tasks',
    text: modulated
      ? 'Each task’s mask and rescalers, and how near its model comes to its fine-tune.'
      : 'How near the one merged model comes to each fine-tune. “Base” is the model that all were fine-tuned from.',
    figures: modulated ? modulatedFigures(tasks, input) : mergedFigures(tasks, input),
    tables: modulated ? modulatedTables(input) : mergedTables(input),
    notes,
  };
}

function bars(
  title: string,
  unit: BarFigure['unit'],
  series: readonly string[],
  tasks: readonly Entry[],
  values: (task: TaskFigures) => readonly number[],
): BarFigure {
  const rows = tasks.map(([label, task]) => ({ label, values: values(task) }));
  return { kind: 'bars', title, unit, series, rows };
}

function modulatedFigures(tasks: readonly Entry[], { report }: PageInput): BarFigure[] {
  const steps = (task: TaskFigures) => stepsOf(task, report);
  const names = ['unified', 'masked', 'rescaled'];
  const labels = RESCALERS.map((kind) => RESCALER_LABELS[kind]);
  return [
    bars('Rescalers λ', 'number', labels, tasks, (task) => rescalersOf(task)),
    bars('L2 distance to the fine-tune', 'number', names, tasks, (task) => steps(task).map((step) => step.distance)),
    {
      ...bars('Cosine similarity to the task vector', 'number', names, tasks, (task) =>
        steps(task).map((step) => step.cosine),
      ),
      max: 1,
    },
    bars('Mask density', 'percent', ['density'], tasks, (task) => [task.density]),
    bars('Sign conflicts with the unified vector', 'percent', ['conflicts'], tasks, (task) => [task.sign_conflicts]),
  ];
}

function mergedFigures(tasks: readonly Entry[], { report }: PageInput): BarFigure[] {
  const merged = (task: TaskFigures) => lastStep(task, report);
  return [
    bars('L2 distance to the fine-tune', 'number', ['base', 'merged'], tasks, (task) => [
      Math.sqrt(task.tau_squared_norm),
      merged(task).distance,
    ]),
    {
      ...bars('Cosine similarity to the task vector', 'number', ['merged'], tasks, (task) => [merged(task).cosine]),
      max: 1,
    },
    bars('Sign conflicts', 'percent', ['conflicts'], tasks, (task) => [task.sign_conflicts]),
  ];
}

const rescalersOf = (task: TaskFigures) => (hasSteps(task) ? RESCALERS.map((kind) => task.rescalers[kind]) : []);

/** All figures at once; the first table is the paper's Table 16 turned on its side. */
function modulatedTables({ report }: PageInput): Table[] {
  const tasks = Object.entries(report.tasks);
  const labels = RESCALERS.map((kind) => RESCALER_LABELS[kind]);
  const each = (kinds: Record<(typeof RESCALERS)[number], number>, write: (value: number) => string) =>
    RESCALERS.map((kind) => write(kinds[kind]));
  const l2 = (squared: number) => number(Math.sqrt(squared));
  const rows = (cells: (task: Modulated) => string[]) =>
    tasks.map(([name, task]) => [name, ...cells(task as unknown as Modulated)]);
  return [
    {
      caption: 'Masks and rescalers',
      columns: ['Task', 'Fine-tune', 'Mask density', 'Sign conflicts', ...labels.map((label) => `λ ${label}`)],
      rows: rows((task) => [
        task.checkpoint,
        percent(task.density),
        percent(task.sign_conflicts),
        ...each(task.rescalers, number),
      ]),
    },
    {
      caption: 'L2 distance to the fine-tune at each step',
      columns: [
        'Task',
        'Base',
        'Unified',
        'Masked',
        ...labels.map((label) => `λ ${label}`),
        ...labels.map((label) => `λ ${label}, each tensor its own`),
      ],
      rows: rows(({ tau_squared_norm, distances, tensor_scope }) => [
        l2(tau_squared_norm),
        l2(distances.unified),
        l2(distances.masked),
        ...each(distances.rescaled, l2),
        ...each(tensor_scope.distances.rescaled, l2),
      ]),
    },
    {
      caption: 'Cosine similarity to the task vector at each step (one λ for the model does not turn the vector)',
      columns: ['Task', 'Unified', 'Masked', 'One λ', ...labels.map((label) => `λ ${label}, each tensor its own`)],
      rows: rows(({ cosine, tensor_scope }) => [
        number(cosine.unified),
        number(cosine.masked),
        number(cosine.rescaled.global),
        ...each(tensor_scope.cosine.rescaled, number),
      ]),
    },
  ];
}

type Modulated = Extract<TaskFigures, { rescalers: object }> & {
  readonly tensor_scope: NonNullable<TaskFigures['tensor_scope']>;
};

function mergedTables({ report }: PageInput): Table[] {
  return [
    {
      caption: 'The merged model against each fine-tune',
      columns: ['Task', 'Fine-tune', 'Elements', 'Sign conflicts', 'L2, base', 'L2, merged', 'Merged / base', 'Cosine'],
      rows: Object.entries(report.tasks).map(([name, task]) => {
        const { distance, cosine } = lastStep(task, report);
        return [
          name,
          task.checkpoint,
          count(task.n),
          percent(task.sign_conflicts),
          number(Math.sqrt(task.tau_squared_norm)),
          number(distance),
          number(relativeDistance(task, report)),
          number(cosine),
        ];
      }),
    },
  ];
}
