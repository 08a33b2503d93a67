import { bytes, number, percent } from '../format.js';
import { isModulated, lastStep, mean, ownSteps, stepsOf } from '../steps.js';
import type { PageInput, ReportData, Section, Tile } from '../types.js';

const isMasked = (report: ReportData) => isModulated(report) && ownSteps(report) !== 'elect';

/** An ablation also says how far its models go. */
function nearness(report: ReportData): string {
  const of = 'Of the task vectors, mean over tasks';
  return { elect: `${of}, neither masked nor rescaled`, mask: `${of}, not rescaled`, rescale: of }[ownSteps(report)];
}

/** The figures that a reader looks for first. */
export function tiles({ report, evaluations }: PageInput): Tile[] {
  const tasks = Object.values(report.tasks);
  const last = tasks.map((task) => lastStep(task, report));
  const { bundle_bytes, checkpoints_bytes, ratio } = report.storage;
  const shown: Tile[] = [
    {
      label: 'Storage',
      value: percent(ratio),
      note: `${bytes(bundle_bytes)} for ${tasks.length} checkpoints of ${bytes(checkpoints_bytes)}`,
    },
    {
      label: 'Cosine to the fine-tune',
      value: number(mean(last.map(({ cosine }) => cosine))),
      note: nearness(report),
    },
    {
      label: 'Sign conflicts',
      value: percent(mean(tasks.map((task) => task.sign_conflicts))),
      note: isMasked(report) ? 'Before masking; none are left after it' : 'Mean over tasks',
    },
  ];
  if (isModulated(report)) {
    const density = mean(tasks.map((task) => task.density));
    shown.push({ label: 'Mask density', value: percent(density), note: 'Mean over tasks' });
  }
  if (evaluations.length > 0) {
    const accuracy = mean(evaluations.map((one) => one.accuracy));
    shown.push({ label: 'Accuracy', value: percent(accuracy), note: `Mean of ${evaluations.length} evaluations` });
  }
  return shown;
}

/** The paper's Figs. 4 and 7: what each step does, averaged over the tasks. Nothing for methods of one step. */
export function stepByStep({ report }: PageInput): Section[] {
  if (!isModulated(report)) return [];
  const steps = Object.values(report.tasks).map((task) => stepsOf(task, report));
  const rows = steps[0]!.map(({ name }, i) => ({
    name,
    conflicts: mean(steps.map((task) => task[i]!.conflicts)),
    distance: mean(steps.map((task) => task[i]!.distance)),
    cosine: mean(steps.map((task) => task[i]!.cosine)),
  }));
  const bars = (title: string, unit: 'percent' | 'number', value: (row: (typeof rows)[number]) => number) => ({
    kind: 'bars' as const,
    title,
    unit,
    series: [title],
    rows: rows.map((row) => ({ label: row.name, values: [value(row)] })),
  });
  return [
    {
      title: 'Step by step',
      text: 'How near the unified vector comes to a task vector: as it is, after the task’s mask, and after its rescaler. Means over all tasks.',
      figures: [
        bars('Sign conflicts', 'percent', (row) => row.conflicts),
        bars('L2 distance', 'number', (row) => row.distance),
        { ...bars('Cosine similarity', 'number', (row) => row.cosine), max: 1 },
      ],
      tables: [
        {
          caption: 'Means over all tasks at each step',
          columns: ['Step', 'Sign conflicts', 'L2 distance', 'Cosine similarity'],
          rows: rows.map((row) => [row.name, percent(row.conflicts), number(row.distance), number(row.cosine)]),
        },
      ],
      notes: [],
    },
  ];
}

export function storage({ report }: PageInput): Section {
  const { bundle_bytes, checkpoints_bytes, ratio } = report.storage;
  const tasks = Object.keys(report.tasks).length;
  const rows: [string, number][] = [
    [tasks === 1 ? '1 checkpoint' : `${tasks} checkpoints`, checkpoints_bytes],
    ['this merge', bundle_bytes],
  ];
  return {
    title: 'Storage',
    text: `The merge takes ${percent(ratio)} of what its fine-tunes take. The base is not counted: both need it.`,
    figures: [
      {
        kind: 'bars',
        title: 'Bytes stored',
        unit: 'bytes',
        series: ['bytes'],
        rows: rows.map(([label, value]) => ({ label, values: [value] })),
      },
    ],
    tables: [
      {
        caption: 'Bytes stored',
        columns: ['What', 'Bytes'],
        rows: rows.map(([label, value]) => [label, value.toLocaleString('en')]),
      },
    ],
    notes: [],
  };
}
