import type { Rescaler, Rescalers, Steps } from '../merge/rescalers.js';
import type { ReportData } from './types.js';

/** The model that stands for a fine-tune after one step of the method, against that fine-tune. */
export interface Step {
  readonly name: string;
  /** L2, not squared. */
  readonly distance: number;
  readonly cosine: number;
  /** Share of elements whose signs differ. */
  readonly conflicts: number;
}

/** Does the merge have masks and rescalers for each task, or one model for all? */
export const isModulated = (report: ReportData) => Object.values(report.tasks).some((task) => 'rescalers' in task);

/** The rescaler that downloads use unless they ask for another, as the report names it. */
export function chosenRescaler({ method }: ReportData): Rescaler {
  return 'rescaler' in method ? (method.rescaler.replace('-', '_') as Rescaler) : 'global';
}

/** How far the merge's own models go, unless a download asks for another step. */
export const ownSteps = ({ method }: ReportData) => ('steps' in method ? method.steps : undefined) ?? 'rescale';

/** What a reconstruction's last step leaves, as the page names it. */
const AFTER = { elect: 'unified', mask: 'masked', rescale: 'rescaled' } as const;

const isTensorScope = ({ method }: ReportData) => 'scope' in method && method.scope === 'tensor';

/** Figures that both a task and a tensor have. */
interface Shared {
  readonly n: number;
  readonly density: number;
  readonly sign_conflicts: number;
  readonly tau_squared_norm: number;
}
interface WithSteps extends Shared {
  readonly rescalers: Rescalers;
  readonly distances: Steps;
  readonly cosine: Steps;
}
interface OneModel extends Shared {
  readonly distances: { readonly merged: number };
  readonly cosine: { readonly merged: number };
}

export type TensorFigures = WithSteps | OneModel;
export type TaskFigures = TensorFigures & {
  readonly checkpoint: string;
  readonly tensor_scope?: { readonly distances: Steps; readonly cosine: Steps };
  readonly tensors: Readonly<Record<string, TensorFigures>>;
};

/** Of a merge with masks, for which there is a figure after each step. */
export const hasSteps = (figures: WithSteps | OneModel): figures is WithSteps => 'rescalers' in figures;

/**
 * Every step of one task: unified, masked and rescaled, or only merged. Masking and rescaling leave no element of another
 * sign than the fine-tune's, so conflicts end with the mask.
 */
export function stepsOf(task: TaskFigures, report: ReportData): Step[] {
  const { sign_conflicts: conflicts } = task;
  if (!hasSteps(task)) {
    const { distances, cosine } = task;
    return [{ name: 'merged', distance: Math.sqrt(distances.merged), cosine: cosine.merged, conflicts }];
  }
  const { distances, cosine } = task;
  const kind = chosenRescaler(report);
  const scoped = (isTensorScope(report) && task.tensor_scope) || task;
  const step = (name: string, distance: number, angle: number, share: number): Step => ({
    name,
    distance: Math.sqrt(distance),
    cosine: angle,
    conflicts: share,
  });
  return [
    step('unified', distances.unified, cosine.unified, conflicts),
    step('masked', distances.masked, cosine.masked, 0),
    step('rescaled', scoped.distances.rescaled[kind], scoped.cosine.rescaled[kind], 0),
  ];
}

/** What the merge's own model of a task is: the last of the steps that the merge's method takes. */
export function lastStep(task: TaskFigures, report: ReportData): Step {
  const steps = stepsOf(task, report);
  return steps.find(({ name }) => name === AFTER[ownSteps(report)]) ?? steps.at(-1)!;
}

/** Squared L2 of one tensor after the merge's last step; where that is to rescale, by the tensor's own λ. */
export function leftOver(tensor: TensorFigures, report: ReportData): number {
  if (!hasSteps(tensor)) return tensor.distances.merged;
  const { unified, masked, rescaled } = tensor.distances;
  return { elect: unified, mask: masked, rescale: rescaled[chosenRescaler(report)] }[ownSteps(report)];
}

/** Distance after the merge's last step, as a share of the task vector's length: 1 is as far as the base. */
export function relativeDistance(task: TaskFigures, report: ReportData): number {
  const { distance } = lastStep(task, report);
  return task.tau_squared_norm === 0 ? 0 : distance / Math.sqrt(task.tau_squared_norm);
}

export const mean = (values: readonly number[]) =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
