import { createScalarMerge } from './scalar-merge.js';
import { createScalarReconstruct } from './scalar-reconstruct.js';
import type { Engine } from './types.js';

/** Plain TypeScript: the readable reference that the other engines are held against. */
export function createScalarEngine(): Engine {
  return { name: 'scalar', createMerge: createScalarMerge, createReconstruct: createScalarReconstruct };
}
