import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import { decode, encode } from './cast.js';
import { combine, elect, elected, heaviest } from './elect.js';
import { locateFault } from './faults.js';
import { maskAndSum, sumRows } from './sums.js';
import { type MergeLayout, type MergeWorkspace, sumsLength, type TileInput } from './types.js';

/** The reference merge: every formula of docs/semantics.md in the order in which it is written there. */
export function createScalarMerge({ tasks, elements, wide }: MergeLayout): MergeWorkspace {
  const inputs = Array.from({ length: tasks + 1 }, () => new Uint8Array(elements * (wide ? 8 : 4)));
  const values = inputs.map(() => new Float32Array(elements));
  const u = new Float32Array(elements);
  const written = new Uint8Array(elements * 8);
  const masks = Array.from({ length: tasks }, () => new Uint8Array(elements / 8));
  const sums = new Float64Array(sumRows(elements) * sumsLength(tasks));

  const input = (slot: number, n: number, dtype: FloatDtype) => inputs[slot]!.subarray(0, n * DTYPE_BYTES[dtype]);
  const output = (n: number, dtype: FloatDtype) => written.subarray(0, n * DTYPE_BYTES[dtype]);
  const load = ({ n, base, tasks }: TileInput) => {
    [base, ...tasks].forEach((dtype, slot) => {
      decode(input(slot, n, dtype), dtype, values[slot]!);
    });
  };
  /** What readers of the output will see, as f32. */
  const round = (n: number, dtype: FloatDtype) => {
    encode(u, dtype, output(n, dtype));
    decode(output(n, dtype), dtype, u);
  };

  return {
    input,
    output,
    emr(tile) {
      const { n, zeroSign } = tile;
      load(tile);
      for (let i = 0; i < n; i++) u[i] = elect(values, i, zeroSign);
      round(n, tile.output);
      for (let i = 0; i < n; i++) if (u[i] === 0) u[i] = 0; // a zero is stored as +0, also one that rounding made
      encode(u, tile.output, output(n, tile.output));
      const fault = locateFault(values, n, u, (i) => elected(values, i, zeroSign));
      if (fault === undefined) maskAndSum(values, u, n, masks, sums);
      return fault;
    },
    linear(tile) {
      const { n } = tile;
      load(tile);
      for (let i = 0; i < n; i++) u[i] = combine(values, i, tile);
      round(n, tile.output);
      const base = values[0]!;
      for (let i = 0; i < n; i++) u[i] = u[i]! - base[i]!;
      const fault = locateFault(values, n, u, (i) => heaviest(values, i, tile));
      if (fault === undefined) maskAndSum(values, u, n, masks, sums);
      return fault;
    },
    mask: (task, n) => masks[task]!.subarray(0, (n + 7) >> 3),
    sums: (n) => sums.subarray(0, sumRows(n) * sumsLength(tasks)),
  };
}
