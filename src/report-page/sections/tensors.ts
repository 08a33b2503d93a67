import { count, number, percent } from '../format.js';
import { MAX_TENSOR_ROWS, MIN_TENSOR_ROWS } from '../limits.js';
import { hasSteps, isModulated, leftOver, type TaskFigures, type TensorFigures } from '../steps.js';
import { inOrder } from '../tensor-groups.js';
import type { PageInput, Section, Table } from '../types.js';

/** Every tensor of every task, as far as a page can hold them. */
export function tensorSection({ report }: PageInput): Section {
  const tasks = Object.entries(report.tasks);
  const limit = Math.max(MIN_TENSOR_ROWS, Math.floor(MAX_TENSOR_ROWS / tasks.length));
  const modulated = isModulated(report);
  const squared = (tensor: TensorFigures) => leftOver(tensor, report);
  return {
    title: 'Tensors',
    text: modulated
      ? 'One table for each task. λ and the distances after it are each tensor’s own; within one tensor, tensor-mean equals global, and rescaling does not change the cosine.'
      : 'One table for each task.',
    figures: [],
    tables: tasks.map(([name, task]) => tensorTable(name, task, limit, squared, modulated)),
    notes: [],
  };
}

function tensorTable(
  caption: string,
  task: TaskFigures,
  limit: number,
  squared: (tensor: TensorFigures) => number,
  modulated: boolean,
): Table {
  const all = Object.entries(task.tensors);
  const shown = new Set(
    all.length <= limit
      ? all.map(([name]) => name)
      : all
          .toSorted(([, a], [, b]) => squared(b) - squared(a))
          .slice(0, limit)
          .map(([name]) => name),
  );
  const rows = inOrder([...shown]).map((name) => [name, ...cells(task.tensors[name]!)]);
  const columns = modulated
    ? [
        'Density',
        'Conflicts',
        'λ global',
        'λ l2',
        'L2, base',
        'Unified',
        'Masked',
        'λ global',
        'λ l2',
        'Cosine, unified',
        'Masked',
      ]
    : ['Conflicts', 'L2, base', 'Merged', 'Cosine'];
  const table = { caption, columns: ['Tensor', 'Elements', ...columns], rows };
  if (shown.size === all.length) return table;
  return {
    ...table,
    note: `${shown.size} of ${all.length} tensors: those that add most to the distance that is left. The JSON report has all.`,
  };
}

const l2 = (squared: number) => number(Math.sqrt(squared));

function cells(tensor: TensorFigures): string[] {
  const { n, tau_squared_norm } = tensor;
  if (!hasSteps(tensor)) {
    const { sign_conflicts, distances, cosine } = tensor;
    return [count(n), percent(sign_conflicts), l2(tau_squared_norm), l2(distances.merged), number(cosine.merged)];
  }
  const { density, sign_conflicts, rescalers, distances, cosine } = tensor;
  return [
    count(n),
    percent(density),
    percent(sign_conflicts),
    number(rescalers.global),
    number(rescalers.l2),
    l2(tau_squared_norm),
    l2(distances.unified),
    l2(distances.masked),
    l2(distances.rescaled.global),
    l2(distances.rescaled.l2),
    number(cosine.unified),
    number(cosine.masked),
  ];
}
