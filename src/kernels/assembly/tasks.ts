import { alignDense, alignSparse } from './align';
import { deriveBlock, deriveSigns, LEAST_U } from './derive';
import { measureBlock } from './measure';
import { BLOCK_BYTES, TASK_ACCUMULATORS } from './shape';

/** Masks and sums of all tasks over one block whose task vectors lie at `taus`. m is a multiple of STEP. */
export function maskAndSum(
  u: usize, m: usize, tasks: usize, taus: usize, derived: usize, mask: usize, maskStride: usize, accumulators: usize,
): void {
  deriveBlock(u, m, derived);
  const leastU = load<f32>(derived, LEAST_U);
  let signs = false;
  for (let task: usize = 0; task < tasks; task++) {
    const leastTau = measureBlock(taus, derived, m, accumulators);
    if (leastTau * leastU > 0) {
      alignDense(taus, u, derived, m, mask, accumulators);
    } else {
      if (!signs) deriveSigns(u, m, derived);
      signs = true;
      alignSparse(taus, derived, m, mask, accumulators);
    }
    taus += BLOCK_BYTES;
    mask += maskStride;
    accumulators += TASK_ACCUMULATORS;
  }
}
