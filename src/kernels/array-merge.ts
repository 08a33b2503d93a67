import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import { decode, encode } from './cast.js';
import { elected, heaviest } from './elect.js';
import { farthest, locateBadStatistic, locateFault } from './faults.js';
import { sumRows } from './sums.js';
import {
  type LinearTile,
  type MergeLayout,
  type MergeWorkspace,
  sumsLength,
  type TileInput,
  type ZeroSign,
} from './types.js';

/** What an engine on plain arrays has to compute. `values`: base and N tasks as f32, of which n elements count. */
export interface MergeMath {
  /** u before it is rounded to the output dtype. */
  elect(values: readonly Float32Array[], n: number, zeroSign: ZeroSign, u: Float32Array): void;
  /** W before it is rounded to the output dtype. */
  combine(values: readonly Float32Array[], n: number, tile: LinearTile, weights: Float32Array): void;
  /** Masks (LSB first) and rows of sums (types.ts), of inputs that are free of faults. */
  maskAndSum(
    values: readonly Float32Array[],
    u: Float32Array,
    n: number,
    masks: readonly Uint8Array[],
    sums: Float64Array,
  ): void;
}

/** A merge on plain typed arrays: casts, faults and bookkeeping around the mathematics. */
export function createArrayMerge(layout: MergeLayout, math: MergeMath): MergeWorkspace {
  const { tasks, elements, wide, statistics = 0 } = layout;
  const inputs = Array.from({ length: 1 + tasks + statistics }, () => new Uint8Array(elements * (wide ? 8 : 4)));
  const all = inputs.map(() => new Float32Array(elements));
  const values = all.slice(0, 1 + tasks);
  const u = new Float32Array(elements);
  const written = new Uint8Array(elements * 8);
  const masks = Array.from({ length: tasks }, () => new Uint8Array(elements / 8));
  const sums = new Float64Array(sumRows(elements) * sumsLength(tasks));

  const input = (slot: number, n: number, dtype: FloatDtype) => inputs[slot]!.subarray(0, n * DTYPE_BYTES[dtype]);
  const output = (n: number, dtype: FloatDtype) => written.subarray(0, n * DTYPE_BYTES[dtype]);
  const load = ({ n, base, tasks, statistics = [] }: TileInput) => {
    [base, ...tasks, ...statistics].forEach((dtype, slot) => {
      decode(input(slot, n, dtype), dtype, all[slot]!);
    });
  };
  /** Writes the result and makes of it what readers of the output will see, as f32. */
  const round = (n: number, dtype: FloatDtype) => {
    encode(u, dtype, output(n, dtype));
    decode(output(n, dtype), dtype, u);
  };
  const finish = (n: number, culprit: (index: number) => number) => {
    const fault = locateFault(values, n, u, culprit);
    if (fault === undefined) math.maskAndSum(values, u, n, masks, sums);
    return fault;
  };
  /** Of a W that is in u: u becomes W − W_pre, W as rounded. */
  const finishModel = (n: number, dtype: FloatDtype, culprit: (index: number) => number) => {
    round(n, dtype);
    const base = values[0]!;
    for (let i = 0; i < n; i++) u[i] = u[i]! - base[i]!;
    return finish(n, culprit);
  };

  return {
    input,
    output,
    upcast(tile) {
      load(tile);
      return all;
    },
    emr({ n, zeroSign, output: dtype, ...inputs }) {
      load({ n, ...inputs });
      math.elect(values, n, zeroSign, u);
      round(n, dtype);
      for (let i = 0; i < n; i++) if (u[i] === 0) u[i] = 0; // a zero is stored as +0, also one that rounding made
      encode(u, dtype, output(n, dtype));
      return finish(n, (index) => elected(values, index, zeroSign));
    },
    linear(tile) {
      load(tile);
      math.combine(values, tile.n, tile, u);
      return finishModel(tile.n, tile.output, (index) => heaviest(values, index, tile));
    },
    rule(tile) {
      load(tile);
      const bad = locateBadStatistic(all.slice(1 + tasks), tile.n);
      if (bad) return bad;
      tile.rule(all, tile.n, u);
      return finishModel(tile.n, tile.output, (index) => farthest(values, index));
    },
    mask: (task, n) => masks[task]!.subarray(0, (n + 7) >> 3),
    sums: (n) => sums.subarray(0, sumRows(n) * sumsLength(tasks)),
  };
}
