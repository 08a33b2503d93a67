import { largest } from './faults.js';
import type { LinearTile, ZeroSign } from './types.js';

const f32 = Math.fround;

/** u of one element before it is rounded to the output dtype: Algorithm 1 of the paper, lines 2–6. */
export function elect(values: readonly Float32Array[], index: number, zeroSign: ZeroSign): number {
  const base = values[0]![index]!;
  let sum = 0;
  let highest = 0;
  let lowest = 0;
  for (let task = 1; task < values.length; task++) {
    const tau = f32(values[task]![index]! - base);
    sum = f32(sum + tau);
    if (tau > highest) highest = tau;
    if (tau < lowest) lowest = tau;
  }
  if (sum > 0) return highest;
  return sum < 0 || zeroSign === 'negative' ? lowest : 0;
}

/** The lowest task whose task vector was elected, for a u that is beyond the output dtype. */
export function elected(values: readonly Float32Array[], index: number, zeroSign: ZeroSign): number {
  const u = elect(values, index, zeroSign);
  return 1 + values.slice(1).findIndex((value) => f32(value[index]! - values[0]![index]!) === u);
}

/** The term c_t·τ_t or c_t·W_t of a linear combination. */
function term(values: readonly Float32Array[], index: number, tile: LinearTile, task: number): number {
  const weight = values[task]![index]!;
  const x = tile.of === 'weights' ? weight : f32(weight - values[0]![index]!);
  return f32(tile.coefficients[task - 1]! * x);
}

/** W of one element before it is rounded to the output dtype; every operation is rounded to f32, in task order. */
export function combine(values: readonly Float32Array[], index: number, tile: LinearTile): number {
  let sum = term(values, index, tile, 1);
  for (let task = 2; task < values.length; task++) sum = f32(sum + term(values, index, tile, task));
  return tile.of === 'weights' ? f32(sum / f32(tile.divisor)) : f32(values[0]![index]! + sum);
}

/** The lowest task of the largest term, for a W that is beyond the output dtype. */
export function heaviest(values: readonly Float32Array[], index: number, tile: LinearTile): number {
  return largest(values.length - 1, (task) => Math.abs(term(values, index, tile, task)));
}
