import { EmrError } from '../errors.js';
import type { TileFault } from '../kernels/types.js';

/** `input` is 0 for the base, t for task t; names of checkpoints are added where they are known. */
export function faultError(fault: TileFault, tensor: string, start: number): EmrError {
  const facts = { input: fault.input, tensor, index: start + fault.index };
  switch (fault.kind) {
    case 'non_finite':
      return new EmrError('non_finite_weight', 'A weight is NaN or infinite.', facts);
    case 'overflow':
      return new EmrError('task_vector_overflow', 'A fine-tuned weight minus its base is beyond f32.', facts);
    case 'result_overflow':
      return new EmrError(
        'task_vector_overflow',
        'What the merge makes of the weights is beyond f32, or beyond its output dtype.',
        facts,
      );
    case 'statistic':
      return new EmrError('invalid_statistic', 'A statistic is NaN, infinite or negative.', {
        ...facts,
        statistic: true,
      });
  }
}
