import type { ResultFact } from '../catalog/merge-facts.js';
import type { Outcome } from '../catalog/runs.js';
import { EmrError } from '../errors.js';

/** `merge_not_ready` while the merge may still succeed; `merge_failed`, with why, once it will not by itself. */
export function requireResult(merge: string, outcome: Outcome<ResultFact>): ResultFact {
  switch (outcome.state) {
    case 'succeeded':
      return outcome.result;
    case 'open':
      throw new EmrError('merge_not_ready', 'The merge has no result yet.', { merge });
    case 'failed': {
      const { error } = outcome;
      throw new EmrError('merge_failed', `The merge has no result: it failed (${error.code}).`, { merge, error });
    }
    case 'cancelled':
      throw new EmrError('merge_failed', 'The merge has no result: it was cancelled.', { merge });
  }
}
