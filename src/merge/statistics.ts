/** Whether the statistics that a method reads fit the tensors that are merged: known from headers. */
import type { CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import { isFloat } from '../dtype.js';
import { type Conflict, sameShape } from './classify.js';
import { createListing, type Listed } from './listed.js';
import type { Statistics } from './methods/types.js';

export interface StatisticsTask {
  readonly name: string;
  readonly statistics?: CheckpointRecord | undefined;
}

export interface FittedStatistics {
  readonly conflicts: Listed<Conflict>;
  /** Of every task, by tensor; a tensor without Gram matrices is not there. */
  readonly ofTensor: ReadonlyMap<string, readonly RecordedTensor[]>;
}

interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Each task's statistics against the merged tensors; every misfit is a conflict. */
export function fitStatistics(
  { kind, of }: Statistics,
  tasks: readonly StatisticsTask[],
  merged: readonly Weight[],
): FittedStatistics {
  const taskNames = new Set(tasks.map(({ name }) => name));
  const conflicts = createListing<Conflict>();
  for (const task of Object.keys(of).filter((name) => !taskNames.has(name))) {
    conflicts.add(() => misfit(`statistics names ${task}, which is no task of this merge.`, task));
  }
  for (const { name } of tasks.filter((task) => task.statistics === undefined)) {
    conflicts.add(() => misfit(`statistics lacks task ${name}.`, name));
  }
  const ofTensor = new Map<string, readonly RecordedTensor[]>();
  if (conflicts.count > 0) return { conflicts, ofTensor };

  const known = tasks.map(({ statistics }) => new Map(statistics!.tensors.map((tensor) => [tensor.name, tensor])));
  for (const weight of merged) {
    if (weight.shape.includes(0)) continue; // there is nothing to merge
    const found = known.map((tensors) => tensors.get(weight.name));
    // A Gram file has linear layers only; what no task has one for is averaged.
    if (kind === 'gram' && found.every((one) => one === undefined)) continue;
    // Either side of a weight may be its inputs, but not one for this task and the other for that.
    const side = found.find((one) => one && fitsSide(weight, one))?.shape[0];
    const before = conflicts.count;
    for (const [t, one] of found.entries()) {
      const problem = kind === 'gram' ? gramProblem(weight, one, side) : diagonalProblem(weight, one);
      if (problem) conflicts.add(() => misfit(`${problem} of ${tasks[t]!.name}.`, tasks[t]!.name, weight.name));
    }
    if (conflicts.count === before) ofTensor.set(weight.name, found as RecordedTensor[]);
  }
  if (kind === 'gram' && conflicts.count === 0 && ofTensor.size === 0) {
    conflicts.add(() => misfit('No merged tensor has a Gram matrix: their names are those of the weights.'));
  }
  return { conflicts, ofTensor };
}

function diagonalProblem({ name, shape }: Weight, found: RecordedTensor | undefined): string | undefined {
  if (found === undefined) return `There is no ${name} in the statistics`;
  if (!isFloat(found.dtype)) return `${name} is ${found.dtype}, not float, in the statistics`;
  if (sameShape(found, { shape })) return undefined;
  return `${name} has shape [${found.shape}], not [${shape}], in the statistics`;
}

function gramProblem(weight: Weight, found: RecordedTensor | undefined, side: number | undefined): string | undefined {
  const { name, shape } = weight;
  if (found === undefined) return `There is no Gram matrix ${name} in the statistics`;
  if (!isFloat(found.dtype)) return `The Gram matrix ${name} is ${found.dtype}, not float, in the statistics`;
  const what = `The Gram matrix ${name} has shape [${found.shape}], which`;
  if (!fitsSide(weight, found)) return `${what} fits no side of [${shape}], in the statistics`;
  return found.shape[0] === side
    ? undefined
    : `${what} is not that of another task, [${side},${side}], in the statistics`;
}

function fitsSide({ shape: sides }: Weight, { shape: [rows, columns, ...more] }: RecordedTensor): boolean {
  return more.length === 0 && rows === columns && sides.length === 2 && sides.includes(rows!);
}

function misfit(detail: string, task?: string, tensor?: string): Conflict {
  return { kind: 'statistics_mismatch', detail, ...(tensor ? { tensor } : {}), ...(task ? { task } : {}) };
}
