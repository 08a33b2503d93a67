import type { CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import { layoutSafetensors } from '../checkpoint/safetensors-layout.js';
import type { SafetensorsLayout, TensorSpec } from '../checkpoint/types.js';
import { type FloatDtype, isFloat } from '../dtype.js';
import { bundlePaths, type TaskLayout } from './bundle.js';
import { type ClassifiedTensor, type Conflict, classifyTensors, elementsOf, sameBytes } from './classify.js';
import { createListing, type Listed, MAX_LISTED } from './listed.js';
import type { MethodTensor, TileProgram } from './methods/types.js';
import { patternWarnings } from './pattern-warnings.js';
import { methodOf } from './registry.js';
import type { MergeRequest } from './request.js';
import { fitStatistics } from './statistics.js';

export interface PlanTask {
  readonly name: string;
  readonly record: CheckpointRecord;
  /** What the method reads beside the weights of this task. */
  readonly statistics?: CheckpointRecord | undefined;
}

export interface PlanInput {
  readonly request: MergeRequest;
  readonly base: CheckpointRecord;
  readonly tasks: readonly PlanTask[];
}

/** A tensor that is merged, with everything a thread needs to know of it. */
export interface MergedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Elements. */
  readonly n: number;
  readonly base: RecordedTensor;
  readonly tasks: readonly RecordedTensor[];
  /** Of every task: the Fisher diagonal or the Gram matrix, where the method reads one. */
  readonly statistics?: readonly RecordedTensor[] | undefined;
  /** Of u, or of the tensor in the one model. */
  readonly output: FloatDtype;
  readonly program: TileProgram;
}

export interface TaskPlan {
  readonly name: string;
  readonly record: CheckpointRecord;
  readonly statistics?: CheckpointRecord | undefined;
  /** Tensors that only this task has so: kept verbatim. */
  readonly extras: readonly RecordedTensor[];
  readonly extrasLayout: SafetensorsLayout;
  readonly layout: TaskLayout;
}

export interface MergePlan {
  readonly request: MergeRequest;
  readonly base: CheckpointRecord;
  readonly tasks: readonly TaskPlan[];
  readonly tensors: readonly ClassifiedTensor[];
  /** The first MAX_LISTED of them. */
  readonly conflicts: readonly Conflict[];
  /** Of all, listed or not. */
  readonly conflictCount: number;
  /** The first MAX_LISTED of them, and how many there are more. */
  readonly warnings: readonly string[];
  /** In the order of their bytes in the output. */
  readonly merged: readonly MergedTensor[];
  /** unified.safetensors, or model.safetensors with the base's other tensors too. */
  readonly output: SafetensorsLayout;
  /** Of every task: the merged tensors' packed masks. Only for methods with masks. */
  readonly mask: SafetensorsLayout | undefined;
}

/**
 * Everything about a merge that follows from headers: each tensor's class, each conflict, and every output's bytes
 * but their values. Reads no weights and writes nothing.
 */
export function planMerge({ request, base, tasks }: PlanInput): MergePlan {
  const method = methodOf(request.method);
  const context = { tasks: tasks.map((task) => task.name) };
  const { tensors, implicit } = classifyTensors({ base, tasks, request });
  const modulated = method.output === 'modulated';

  const outputDtype = (tensor: RecordedTensor): FloatDtype =>
    request.dtype ?? (modulated || !isFloat(tensor.dtype) ? 'F32' : tensor.dtype);
  const chosen = tensors.filter((tensor) => tensor.class === 'merged');
  const wanted = method.statistics?.(request.method);
  const fitted = wanted && fitStatistics(wanted, tasks, chosen);
  const methodTensors = chosen.map(({ name, shape }): MethodTensor => {
    return { name, shape, statistic: fitted?.ofTensor.get(name)?.[0]?.shape };
  });
  const programOf = method.program(request.method, context);
  const merged = chosen.map((tensor, k): MergedTensor => {
    const inBase = tensor.base!;
    return {
      name: tensor.name,
      shape: tensor.shape,
      n: elementsOf(tensor),
      base: inBase,
      tasks: tensor.tasks.map((task) => task!),
      statistics: fitted?.ofTensor.get(tensor.name),
      output: outputDtype(inBase),
      program: programOf(methodTensors[k]!),
    };
  });

  const specs: TensorSpec[] = merged.map(({ name, shape, output }) => ({ name, shape, dtype: output }));
  // The one model is a drop-in for the base: what is not merged is the base's own.
  const mergedNames = new Set(merged.map((tensor) => tensor.name));
  if (!modulated) specs.push(...base.tensors.filter((tensor) => !mergedNames.has(tensor.name)));
  const output = layoutSafetensors(specs);
  const place = new Map(output.tensors.map((tensor, index) => [tensor.name, index]));
  merged.sort((a, b) => place.get(a.name)! - place.get(b.name)!);

  const conflicts = createListing<Conflict>();
  for (const detail of method.check(request.method, context, methodTensors)) {
    conflicts.add(() => ({ kind: 'method_parameters', detail }));
  }
  if (fitted) conflicts.addAll(fitted.conflicts);
  if (merged.length === 0) {
    const detail = 'No tensor is float, of one shape everywhere, and included.';
    conflicts.add(() => ({ kind: 'nothing_to_merge', detail }));
  }
  if (request.strict) conflicts.addAll(implicit);
  return {
    request,
    base,
    tasks: tasks.map((task, t) => planTask(task, t, tensors)),
    tensors,
    conflicts: conflicts.items,
    conflictCount: conflicts.count,
    warnings: warningsOf(
      [
        ...patternWarnings(request, tensors),
        ...f64Warnings(merged),
        ...(wanted?.kind === 'gram' ? gramWarnings(merged) : []),
      ],
      request.strict ? undefined : implicit,
    ),
    merged,
    output,
    mask: modulated
      ? layoutSafetensors(merged.map(({ name, n }) => ({ name, dtype: 'U8', shape: [Math.ceil(n / 8)] })))
      : undefined,
  };
}

function planTask({ name, record, statistics }: PlanTask, t: number, tensors: readonly ClassifiedTensor[]): TaskPlan {
  const own = tensors.filter((tensor) => tensor.tasks[t] !== undefined);
  const sourceOf = (tensor: ClassifiedTensor) => {
    if (tensor.class === 'merged') return 'merged' as const;
    const inTask = tensor.tasks[t]!;
    return tensor.base && sameBytes(tensor.base, inTask) ? ('base' as const) : ('extras' as const);
  };
  const extras = own.filter((tensor) => sourceOf(tensor) === 'extras').map((tensor) => tensor.tasks[t]!);
  const weightFiles = [...new Set(record.tensors.map((tensor) => tensor.file))].sort();
  // A checkpoint may be a safetensors file without tensors.
  const files = record.files.map((file) => file.name);
  const weights =
    weightFiles.length > 0 ? weightFiles : files.filter((file) => file.endsWith('.safetensors')).slice(0, 1);
  return {
    name,
    record,
    statistics,
    extras,
    extrasLayout: layoutSafetensors(extras),
    layout: {
      weights: weights.map((file) => ({
        file,
        tensors: record.tensors.filter((tensor) => tensor.file === file).map((tensor) => tensor.name),
      })),
      ...(record.index ? { index: record.index } : {}),
      files: files.filter((file) => !weights.includes(file)),
      tensors: own.map((tensor) => {
        const { dtype, shape } = tensor.tasks[t]!;
        return { name: tensor.name, dtype, shape, source: sourceOf(tensor) };
      }),
    },
  };
}

function warningsOf(own: readonly string[], kept: Listed<Conflict> | undefined): string[] {
  const warnings = createListing<string>();
  for (const warning of own) warnings.add(() => warning);
  if (kept) {
    warnings.addAll({ count: kept.count, items: kept.items.map(({ detail }) => `${detail} Kept as it is.`) });
  }
  const more = warnings.count - warnings.items.length;
  return more === 0 ? [...warnings.items] : [...warnings.items, `And ${more} more.`];
}

function f64Warnings(merged: readonly MergedTensor[]): string[] {
  return merged
    .filter((tensor) => [tensor.base, ...tensor.tasks].some((input) => input.dtype === 'F64'))
    .map((tensor) => `${tensor.name} is F64 in a checkpoint: it is rounded to F32 before it is merged.`);
}

/** RegMean has its name from linear layers alone; what becomes of the others must not be a surprise. */
function gramWarnings(merged: readonly MergedTensor[]): string[] {
  const averaged = merged.filter(({ n, statistics }) => n > 0 && statistics === undefined).map(({ name }) => name);
  if (averaged.length === 0) return [];
  const more = averaged.length > MAX_LISTED ? `, and ${averaged.length - MAX_LISTED} more` : '';
  return [`Averaged, since they have no Gram matrices: ${averaged.slice(0, MAX_LISTED).join(', ')}${more}.`];
}

export interface PlannedFile {
  readonly path: string;
  readonly bytes: number;
}

/** Every artifact but report.json, with its exact size. */
export function plannedFiles(plan: MergePlan): PlannedFile[] {
  const { output, mask } = plan;
  return [
    { path: mask ? bundlePaths.unified : bundlePaths.model, bytes: output.bytes },
    ...plan.tasks.flatMap((task) => [
      ...(mask ? [{ path: bundlePaths.mask(task.name), bytes: mask.bytes }] : []),
      { path: bundlePaths.extras(task.name), bytes: task.extrasLayout.bytes },
      { path: bundlePaths.layout(task.name), bytes: layoutJson(task.layout).byteLength },
      ...task.layout.files.map((file) => ({
        path: bundlePaths.file(task.name, file),
        bytes: task.record.files.find((known) => known.name === file)!.bytes,
      })),
    ]),
  ];
}

/** The bytes of tasks/<task>/layout.json. */
export function layoutJson(layout: TaskLayout): Buffer {
  return Buffer.from(`${JSON.stringify(layout)}\n`);
}
