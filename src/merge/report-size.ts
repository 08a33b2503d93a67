import { constants } from 'node:buffer';
import { EmrError } from '../errors.js';
import type { MergePlan } from './plan.js';

/** Characters of the figures of one tensor for one task in report.json, were each number as long as one can be (24). */
const FIGURES = { modulated: 640, merged: 290 };

/** At least what report.json has for tensors and tasks, in characters; all else in it is little. */
export function reportSize({ merged, tasks, mask }: Pick<MergePlan, 'merged' | 'tasks' | 'mask'>): number {
  const figures = mask ? FIGURES.modulated : FIGURES.merged;
  return tasks.length * merged.reduce((sum, { name }) => sum + figures + JSON.stringify(name).length, 0);
}

/** `too_large` before a weight is read, where the report could not be written, nor read again: it is one string. */
export function requireReport(plan: MergePlan, limit: number = constants.MAX_STRING_LENGTH): void {
  const size = reportSize(plan);
  if (size <= limit) return;
  const detail =
    `The report has figures for each of ${plan.merged.length} tensors and ${plan.tasks.length} tasks, up to ${size} ` +
    `characters; the limit is ${limit}. Merge fewer tasks, or fewer tensors (exclude).`;
  throw new EmrError('too_large', detail, { tensors: plan.merged.length, tasks: plan.tasks.length, size, limit });
}
