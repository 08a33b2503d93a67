import { written } from '../format.js';
import { MAX_LAYERS_DRAWN } from '../limits.js';
import { chosenRescaler, isModulated, leftOver, ownSteps, type TaskFigures, type TensorFigures } from '../steps.js';
import { groupTensors, type TensorGroup } from '../tensor-groups.js';
import type { HeatFigure, PageInput, ReportData, Section, Table } from '../types.js';
import { drawnTasks, RESCALER_LABELS } from './tasks.js';

/** Layers by tasks: where in the model tasks agree, and where they do not. */
export function layerSection(input: PageInput): Section {
  const { report } = input;
  const { tasks, notes } = drawnTasks(input);
  const names = Object.keys(Object.values(report.tasks)[0]!.tensors);
  const groups = groupTensors(names, MAX_LAYERS_DRAWN);
  const modulated = isModulated(report);

  const map = (title: string, unit: HeatFigure['unit'], value: Value): HeatFigure => ({
    kind: 'heat',
    title,
    unit,
    rows: groups.map(({ label }) => label),
    columns: tasks.map(([name]) => name),
    values: groups.map((group) => tasks.map(([, task]) => value(figuresOf(group, task)))),
  });
  const figures = [
    ...(modulated ? [map('Mask density', 'percent', mask)] : []),
    map('Sign conflicts', 'percent', conflicts),
    map(
      'Relative distance left',
      'number',
      distanceLeft((one) => leftOver(one, report)),
    ),
  ];
  return {
    title: modulated ? 'Layers' : 'Layers of the merged model',
    text: `The distance left is ${modulated ? `that ${afterSteps(report)}, as ` : ''}a share of the task vector’s length: 0 is the fine-tune itself, 1 as far from it as the base.`,
    figures,
    tables: figures.map(tableOf),
    notes: [...notes, ...(groups.length < names.length ? [groupNote(names.length, groups.length)] : [])],
  };
}

const afterSteps = (report: ReportData) =>
  ({
    elect: 'of the unified vector as it is',
    mask: 'after masking',
    rescale: `after masking and rescaling by each tensor’s own λ (${RESCALER_LABELS[chosenRescaler(report)]})`,
  })[ownSteps(report)];

const groupNote = (tensors: number, rows: number) =>
  `${tensors} tensors are put together to ${rows} rows by their names; a row’s figures count every element alike.`;

type Value = (tensors: readonly TensorFigures[]) => number | undefined;

const figuresOf = ({ tensors }: TensorGroup, task: TaskFigures) =>
  tensors.map((name) => task.tensors[name]).filter((figures) => figures !== undefined);

/** Means over elements: tensors count by their sizes, so that a row is what one tensor of all elements would give. */
const weighted =
  (figure: (tensor: TensorFigures) => number): Value =>
  (tensors) => {
    const n = tensors.reduce((sum, tensor) => sum + tensor.n, 0);
    return n === 0 ? undefined : tensors.reduce((sum, tensor) => sum + figure(tensor) * tensor.n, 0) / n;
  };

const mask = weighted(({ density }) => density);
const conflicts = weighted(({ sign_conflicts }) => sign_conflicts);

const distanceLeft =
  (squared: (tensor: TensorFigures) => number): Value =>
  (tensors) => {
    const whole = tensors.reduce((sum, tensor) => sum + tensor.tau_squared_norm, 0);
    return whole === 0 ? undefined : Math.sqrt(tensors.reduce((sum, tensor) => sum + squared(tensor), 0) / whole);
  };

const tableOf = ({ title, unit, rows, columns, values }: HeatFigure): Table => ({
  caption: title,
  columns: ['Layer', ...columns],
  rows: rows.map((row, i) => [row, ...values[i]!.map((value) => (value === undefined ? '–' : written(value, unit)))]),
});
