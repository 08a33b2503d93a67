import { TASK_SUMS } from '../kernels/types.js';
import { type MergePlan, plannedFiles } from './plan.js';
import {
  addSums,
  cosines,
  distances,
  type Rescaler,
  rescalers,
  type TensorSums,
  tensorRescalers,
} from './rescalers.js';

/**
 * report.json: every figure of the merge, all algebra on the sums of its one pass (docs/semantics.md). Distances are
 * squared L2. `sums` holds one array for each tensor of `plan.merged`, laid out as kernels/types.ts says.
 */
export function buildReport(plan: MergePlan, sums: readonly Float64Array[]) {
  const warnings = [...plan.warnings];
  const tasks = plan.tasks.map((task, t) => {
    const tensors = plan.merged.map(({ n }, k) => taskSums(sums[k]!, t, plan.tasks.length, n));
    const names = plan.merged.map(({ name }) => name);
    if (plan.mask) warnings.push(...rescalerWarnings(task.name, tensors, names));
    const figures = {
      checkpoint: task.record.name,
      ...summary(tensors, plan.mask !== undefined),
      ...(plan.mask ? { tensor_scope: steps(tensors, 'tensor') } : {}),
      tensors: Object.fromEntries(plan.merged.map(({ name }, k) => [name, tensorFigures(tensors[k]!, plan)])),
    };
    return [task.name, figures] as const;
  });
  const merged = plan.merged.map(({ n }, k) => taskSums(sums[k]!, 0, plan.tasks.length, n));
  const all = addSums(merged);
  return {
    method: plan.request.method,
    base: plan.base.name,
    /** Elements that are merged. */
    parameters: all.n,
    unified: { abs_sum: all.abs_u, squared_norm: all.u_sq },
    tasks: Object.fromEntries(tasks),
    storage: storage(plan),
    warnings,
  };
}

export type Report = ReturnType<typeof buildReport>;

function taskSums(sums: Float64Array, task: number, tasks: number, n: number): TensorSums {
  const width = TASK_SUMS.length;
  const found = { n, abs_u: sums[tasks * width]!, u_sq: sums[tasks * width + 1]! } as Record<string, number>;
  for (const [i, name] of TASK_SUMS.entries()) found[name] = sums[task * width + i]!;
  return found as unknown as TensorSums;
}

const steps = (tensors: readonly TensorSums[], scope: 'model' | 'tensor') => ({
  distances: distances(tensors, scope),
  cosine: cosines(tensors, scope),
});

/** Of one task: with masks, each step of EMR; else the merged model against the fine-tune. */
function summary(tensors: readonly TensorSums[], modulated: boolean) {
  const all = addSums(tensors);
  const shared = {
    n: all.n,
    density: ratio(all.aligned, all.n),
    sign_conflicts: ratio(all.conflicts, all.n),
    tau_squared_norm: all.tau_sq,
  };
  const figures = steps(tensors, 'model');
  if (modulated) return { ...shared, rescalers: rescalers(tensors), ...figures };
  return {
    ...shared,
    distances: { merged: figures.distances.unified },
    cosine: { merged: figures.cosine.unified },
  };
}

function tensorFigures(sums: TensorSums, plan: MergePlan) {
  const figures = summary([sums], plan.mask !== undefined);
  return plan.mask ? { ...figures, rescalers: tensorRescalers(sums) } : figures;
}

function rescalerWarnings(task: string, tensors: readonly TensorSums[], names: readonly string[]): string[] {
  const all = addSums(tensors);
  if (all.abs_tau === 0) return [`${task} equals the base in every merged tensor: its rescalers are 0.`];
  if (all.masked_abs_u === 0)
    return [`Nothing of ${task} agrees in sign with the unified vector: its rescalers are 0.`];
  return [...infiniteRescalers(rescalers(tensors), task), ...infiniteInTensors(task, tensors, names)];
}

function infiniteInTensors(task: string, tensors: readonly TensorSums[], names: readonly string[]): string[] {
  return tensors.flatMap((sums, k) => infiniteRescalers(tensorRescalers(sums), `${task} for ${names[k]}`));
}

/** Reconstruction multiplies in f32. */
function infiniteRescalers(found: Readonly<Record<Rescaler, number>>, whose: string): string[] {
  return Object.entries(found)
    .filter(([, value]) => !Number.isFinite(Math.fround(value)))
    .map(
      ([kind, value]) =>
        `The ${kind} rescaler of ${whose}, ${value}, is beyond f32: with it, values are infinite or NaN.`,
    );
}

/** Bytes of the weights, against those of the checkpoints that the bundle stands for. */
function storage(plan: MergePlan) {
  const bundle = plannedFiles(plan).reduce((sum, file) => sum + file.bytes, 0);
  const checkpoints = plan.tasks.reduce(
    (sum, task) => sum + task.record.files.reduce((all, file) => all + file.bytes, 0),
    0,
  );
  return { bundle_bytes: bundle, checkpoints_bytes: checkpoints, ratio: ratio(bundle, checkpoints) };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
