import type { EvaluationFact } from '../../catalog/evaluations.js';
import { count, number, percent } from '../format.js';
import { MAX_EVALUATIONS, MAX_TASKS_DRAWN, MAX_VARIANTS } from '../limits.js';
import type { BarFigure, PageInput, Section } from '../types.js';

/** What jobs measured on data; nothing if there were none. */
export function evaluationSection({ evaluations }: PageInput): Section[] {
  if (evaluations.length === 0) return [];
  const { figure, notes } = accuracies(evaluations);
  const listed = evaluations.slice(0, MAX_EVALUATIONS);
  const hidden = evaluations.length - listed.length;
  return [
    {
      title: 'Evaluations',
      text: 'Accuracy and loss on data sets, as measured by jobs.',
      figures: [figure],
      tables: [
        {
          caption: 'All evaluations',
          columns: ['Task', 'Data set', 'Model', 'Accuracy', 'Loss', 'Examples', 'Backend', 'Job'],
          rows: listed.map((one) => [
            one.task,
            one.dataset,
            variantOf(one),
            percent(one.accuracy),
            number(one.loss),
            count(one.n),
            one.backend,
            one.job,
          ]),
          ...(hidden > 0 ? { note: `${hidden} more are in the JSON report.` } : {}),
        },
      ],
      notes,
    },
  ];
}

/** How the model was rendered; the merge's own settings have no name. */
function variantOf({ rescaler, scope, ...more }: EvaluationFact): string {
  const steps = 'steps' in more ? String(more.steps) : undefined;
  const parts = [steps, rescaler, scope && `λ per ${scope}`].filter((part) => part !== undefined);
  return parts.length === 0 ? 'as merged' : parts.join(', ');
}

/** The newest accuracy of each task and setting; the list is in the order of time. */
function accuracies(evaluations: readonly EvaluationFact[]): { figure: BarFigure; notes: string[] } {
  const pairs = new Set(evaluations.map(({ task, dataset }) => `${task}\n${dataset}`));
  const isAlone = pairs.size === new Set(evaluations.map(({ task }) => task)).size;
  const labelOf = ({ task, dataset }: EvaluationFact) => (isAlone ? task : `${task} on ${dataset}`);
  const variants = [...new Set(evaluations.map(variantOf))];
  const series = variants.slice(0, MAX_VARIANTS);
  const labels = [...new Set(evaluations.map(labelOf))];
  const drawn = labels.slice(0, MAX_TASKS_DRAWN);
  const found = new Map(evaluations.map((one) => [`${labelOf(one)}\n${variantOf(one)}`, one.accuracy]));
  const rows = drawn.map((label) => ({ label, values: series.map((variant) => found.get(`${label}\n${variant}`)) }));
  const notes = [];
  if (variants.length > series.length) notes.push(`The plot shows ${series.length} of ${variants.length} settings.`);
  if (labels.length > drawn.length) notes.push(`The plot shows ${drawn.length} of ${labels.length} tasks.`);
  return { figure: { kind: 'bars', title: 'Accuracy', unit: 'percent', series, rows, max: 1 }, notes };
}
