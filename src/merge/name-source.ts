import { EmrError } from '../errors.js';
import type { MergePlan } from './plan.js';
import { inputRecords } from './verify-inputs.js';

/**
 * A source that changed, by the names that a user knows: whoever reads knows a key only. Any other error as it is. Two
 * checkpoints that were registered from one folder have both changed.
 */
export function nameSource(error: unknown, plan: Pick<MergePlan, 'base' | 'tasks'>): unknown {
  if (!(error instanceof EmrError) || error.code !== 'source_changed') return error;
  const found = inputRecords(plan).flatMap((record) =>
    record.files.filter(({ location }) => location.key === error.facts.key).map((file) => ({ record, file })),
  );
  if (found.length === 0) return error;
  const { file } = found[0]!;
  const [checkpoint, ...others] = new Set(found.map(({ record }) => record.name));
  const names = [checkpoint, ...others].join(', ');
  return new EmrError(
    'source_changed',
    `${file.name} of checkpoint ${names} is no longer the file that was added: delete the checkpoint and add it again.`,
    { checkpoint, file: file.name },
    { cause: error },
  );
}
