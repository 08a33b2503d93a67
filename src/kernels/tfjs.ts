import { createArrayMerge } from './array-merge.js';
import { createArrayReconstruct } from './array-reconstruct.js';
import { startTensorFlow } from './tfjs-backend.js';
import { createTensorMath, createTensorMove } from './tfjs-math.js';
import type { Engine } from './types.js';

/** TensorFlow.js operations: where there is TensorFlow already, and as a second opinion on the kernels. */
export async function loadTfjsEngine(): Promise<Engine> {
  const tf = await startTensorFlow();
  return {
    name: 'tfjs',
    createMerge: (layout) => createArrayMerge(layout, createTensorMath(tf)),
    createReconstruct: (elements) => createArrayReconstruct(elements, createTensorMove(tf)),
  };
}
