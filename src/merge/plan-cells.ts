/**
 * What a plan costs before a weight is read: a cell for each name of a tensor and each checkpoint. Each takes some 200
 * bytes and two microseconds, in which the process does nothing else.
 */
import type { CheckpointRecord } from '../catalog/records.js';
import { EmrError } from '../errors.js';

/** Some seconds and hundreds of MiB. What a merge may have is less where its report would be too long (report-size.ts). */
export const MAX_PLAN_CELLS = 4_000_000;
/** Of all merges of a batch. A thousand of them with 20 tasks of a thousand tensors are 21 million; more are more batches. */
export const MAX_BATCH_CELLS = 40_000_000;

type Tensors = Pick<CheckpointRecord, 'tensors'>;

/** Of base, tasks and statistics, each as often as it is one of them. Beyond `limit` it is not exact, but above it too. */
export function countCells(records: readonly Tensors[], limit: number): number {
  const atLeast = records.reduce((sum, record) => sum + record.tensors.length, 0);
  if (atLeast > limit) return atLeast;
  const names = new Set<string>();
  for (const { tensors } of new Set(records)) for (const { name } of tensors) names.add(name);
  return names.size * records.length;
}

/** `too_large` for a merge, or an `adamerging` job, beyond what the operator has set. */
export function requirePlannable(records: readonly Tensors[], limit: number): void {
  requireCells(countCells(records, limit), limit, 'EMR_MAX_PLAN_CELLS');
}

/** `too_large`. */
export function requireCells(cells: number, limit: number, setting: string, advice = ''): void {
  if (cells <= limit) return;
  const detail = `Names of tensors times checkpoints are ${cells} or more; the limit is ${limit} (${setting}).${advice}`;
  throw new EmrError('too_large', detail, { cells, limit, setting });
}
