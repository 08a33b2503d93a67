import type { CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import { compareUtf8 } from '../checkpoint/order.js';
import { elementCount, isFloat } from '../dtype.js';
import { globMatcher } from './globs.js';
import { createListing, type Listed, type Listing } from './listed.js';
import type { MergeRequest } from './request.js';

/** SEMANTICS, "Which tensors are merged". */
export type TensorClass = 'merged' | 'base_shared' | 'task_specific' | 'missing';

export type ConflictKind =
  | 'shape_mismatch'
  | 'dtype_mismatch'
  | 'not_in_base'
  | 'missing_in_task'
  | 'values_differ'
  | 'nothing_to_merge'
  | 'method_parameters'
  | 'statistics_mismatch';

/** Why the checkpoints cannot be merged as asked; names what a person has to look at. */
export interface Conflict {
  readonly kind: ConflictKind;
  readonly detail: string;
  readonly tensor?: string;
  readonly task?: string;
}

export interface ClassifiedTensor {
  readonly name: string;
  readonly class: TensorClass;
  /** Of the base, or of the first task that has it. */
  readonly dtype: RecordedTensor['dtype'];
  readonly shape: readonly number[];
  /** Why it is not merged. */
  readonly reason?: ConflictKind | 'excluded' | 'not_float';
  readonly base: RecordedTensor | undefined;
  /** In the order of the tasks; undefined where the task's checkpoint lacks it. */
  readonly tasks: readonly (RecordedTensor | undefined)[];
}

export interface Classification {
  /** Every name in the union of base and tasks, in UTF-8 byte order. */
  readonly tensors: readonly ClassifiedTensor[];
  /** What `strict` refuses: each tensor that would be kept per task without having been excluded. */
  readonly implicit: Listed<Conflict>;
}

export interface ClassifyInput {
  readonly base: CheckpointRecord;
  readonly tasks: readonly { readonly name: string; readonly record: CheckpointRecord }[];
  readonly request: Pick<MergeRequest, 'include' | 'exclude'>;
}

/** Decides for every tensor of base and tasks what becomes of it. Reads no weights. */
export function classifyTensors({ base, tasks, request }: ClassifyInput): Classification {
  const ofBase = byName(base);
  const ofTasks = tasks.map((task) => byName(task.record));
  const names = [...new Set([ofBase, ...ofTasks].flatMap((map) => [...map.keys()]))].sort(compareUtf8);
  const included = request.include ? globMatcher(request.include) : () => true;
  const excluded = request.exclude ? globMatcher(request.exclude) : () => false;
  const implicit = createListing<Conflict>();
  const taskNames = tasks.map((task) => task.name);

  const tensors = names.map((name): ClassifiedTensor => {
    const inBase = ofBase.get(name);
    const inTasks = ofTasks.map((map) => map.get(name));
    const sample = (inBase ?? inTasks.find(Boolean))!;
    const tensor = { name, dtype: sample.dtype, shape: sample.shape, base: inBase, tasks: inTasks };
    if (inBase && inTasks.every((task) => task === undefined)) return { ...tensor, class: 'missing' };
    if (inBase && !isFloat(inBase.dtype) && inTasks.every((task) => task && sameBytes(inBase, task))) {
      return { ...tensor, class: 'base_shared', reason: 'not_float' };
    }
    if (!included(name) || excluded(name)) return { ...tensor, class: 'task_specific', reason: 'excluded' };
    const reason = addConflicts(implicit, tensor, taskNames);
    return reason ? { ...tensor, class: 'task_specific', reason } : { ...tensor, class: 'merged' };
  });
  return { tensors, implicit };
}

function byName(record: CheckpointRecord): Map<string, RecordedTensor> {
  return new Map(record.tensors.map((tensor) => [tensor.name, tensor]));
}

/** Of tensors that are not float: same dtype, shape and bytes. */
export function sameBytes(a: RecordedTensor, b: RecordedTensor): boolean {
  return a.sha256 !== undefined && a.sha256 === b.sha256 && a.dtype === b.dtype && sameShape(a, b);
}

export function sameShape(a: { readonly shape: readonly number[] }, b: { readonly shape: readonly number[] }): boolean {
  return a.shape.length === b.shape.length && a.shape.every((size, axis) => size === b.shape[axis]);
}

type UnclassifiedTensor = Pick<ClassifiedTensor, 'name' | 'base' | 'tasks'>;

/** Adds what keeps a tensor from being merged, task by task; the kind of the first, undefined if it can be merged. */
function addConflicts(
  to: Listing<Conflict>,
  { name, base, tasks }: UnclassifiedTensor,
  taskNames: readonly string[],
): ConflictKind | undefined {
  let first: ConflictKind | undefined;
  for (const [t, inTask] of tasks.entries()) {
    const kind = conflictKind(base, inTask);
    if (kind === undefined) continue;
    first ??= kind;
    const task = taskNames[t]!;
    to.add(() => ({ kind, tensor: name, task, detail: DETAILS[kind](name, task, base!, inTask!) }));
  }
  return first;
}

type OfTensor = Exclude<ConflictKind, 'nothing_to_merge' | 'method_parameters' | 'statistics_mismatch'>;

function conflictKind(base: RecordedTensor | undefined, inTask: RecordedTensor | undefined): OfTensor | undefined {
  if (inTask === undefined) return base ? 'missing_in_task' : undefined;
  if (base === undefined) return 'not_in_base';
  if (!sameShape(base, inTask)) return 'shape_mismatch';
  if (isFloat(base.dtype) && isFloat(inTask.dtype)) return undefined;
  if (base.dtype !== inTask.dtype) return 'dtype_mismatch';
  return sameBytes(base, inTask) ? undefined : 'values_differ';
}

/** Each is called where the tensors that it reads are there. */
const DETAILS: Record<OfTensor, (name: string, task: string, base: RecordedTensor, inTask: RecordedTensor) => string> =
  {
    missing_in_task: (name, task) => `${task} has no tensor ${name}.`,
    not_in_base: (name, task) => `${name} of ${task} is not in the base.`,
    shape_mismatch: (name, task, base, inTask) =>
      `${name} has shape [${inTask.shape}] in ${task} and [${base.shape}] in the base.`,
    dtype_mismatch: (name, task, base, inTask) =>
      `${name} is ${inTask.dtype} in ${task} and ${base.dtype} in the base.`,
    values_differ: (name, task, base) => `${name} (${base.dtype}) of ${task} differs from the base.`,
  };

/** Elements of a tensor. */
export function elementsOf(tensor: { readonly shape: readonly number[] }): number {
  return elementCount(tensor.shape);
}
