import { createArrayMerge, type MergeMath } from './array-merge.js';
import { createArrayReconstruct, type Move } from './array-reconstruct.js';
import { combine, elect } from './elect.js';
import { maskAndSum } from './sums.js';
import type { Engine } from './types.js';

const math: MergeMath = {
  elect(values, n, zeroSign, u) {
    for (let i = 0; i < n; i++) u[i] = elect(values, i, zeroSign);
  },
  combine(values, n, tile, weights) {
    for (let i = 0; i < n; i++) weights[i] = combine(values, i, tile);
  },
  maskAndSum,
};

const move: Move = (values, u, n, masked, rescaler) => {
  for (let i = 0; i < n; i++) if (masked(i)) values[i] = values[i]! + Math.fround(rescaler * u[i]!);
};

/** Plain TypeScript, every formula of docs/semantics.md as it is written: the reference for the other engines. */
export function createScalarEngine(): Engine {
  return {
    name: 'scalar',
    createMerge: (layout) => createArrayMerge(layout, math),
    createReconstruct: (elements) => createArrayReconstruct(elements, move),
  };
}
