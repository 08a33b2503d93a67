import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import { elected, heaviest } from './elect.js';
import { farthest, locateBadStatistic, locateFault } from './faults.js';
import { repairSums } from './repair.js';
import { BLOCK_BYTES, createArena, DTYPE_CODES, inputAddress, padded, upcast } from './simd-memory.js';
import { sumRows } from './sums.js';
import { type MergeLayout, type MergeWorkspace, sumsLength, type TileFault, type TileInput } from './types.js';

const ACCUMULATOR_BYTES = 112;
const DERIVED_BYTES = 64 + 2 * BLOCK_BYTES;

/** A merge on the WebAssembly kernels; its memory is shared, so that `fs.read` fills the inputs directly. */
export function createSimdMerge(module: WebAssembly.Module, layout: MergeLayout): MergeWorkspace {
  const { tasks, elements, statistics = 0 } = layout;
  const arena = createArena();
  const slotBytes = elements * (layout.wide ? 8 : 4);
  const slots = Array.from({ length: 1 + tasks + statistics }, () => arena.take(slotBytes));
  /** u (after `emr`) or W (after `linear` or `rule`) as f32. */
  const result = arena.take(elements * 4);
  /** The same cast to another dtype; before that `linear` and `rule` keep their u here. */
  const written = arena.take(elements * 8);
  const masks = Array.from({ length: tasks }, () => arena.take(elements / 8));
  const sums = arena.take(sumRows(elements) * sumsLength(tasks) * 8);
  const taus = arena.take(tasks * BLOCK_BYTES);
  const derived = arena.take(DERIVED_BYTES);
  const accumulators = arena.take(tasks * ACCUMULATOR_BYTES);
  const coefficients = arena.take(tasks * 4);
  const memory = arena.open(module);
  const { kernels } = memory;

  const stride = (addresses: readonly number[]) => (addresses[1] ?? addresses[0]!) - addresses[0]!;
  const common = (n: number, u: number) =>
    [
      slots[0]!,
      slots[1]!,
      stride(slots),
      tasks,
      n,
      u,
      masks[0]!,
      stride(masks),
      sums,
      taus,
      derived,
      accumulators,
    ] as const;
  const load = ({ n, base, tasks, statistics = [] }: TileInput) => {
    [base, ...tasks, ...statistics].forEach((dtype, slot) => {
      upcast(memory, slots[slot]!, elements, n, dtype);
    });
  };
  /** All inputs as f32, whole; the views are made once. */
  const all = slots.map((slot) => memory.floats(slot, elements));
  const values = all.slice(0, 1 + tasks);
  /** Sums that f32 could not hold are taken again in f64; those that even f64 cannot are a fault of the input. */
  const check = (n: number, u: number, culprit: (index: number) => number): TileFault | undefined => {
    const rows = memory.doubles(sums, sumRows(n) * sumsLength(tasks));
    const unified = memory.floats(u, n);
    return repairSums(rows, values, unified, n) ? undefined : locateFault(values, n, unified, culprit);
  };
  const cast = (n: number, dtype: FloatDtype) => {
    if (dtype === 'BF16') kernels.narrowBf16(result, written, n);
    if (dtype === 'F16') kernels.narrowF16(result, written, n);
    if (dtype === 'F64') kernels.widenF32(result, written, n);
  };

  return {
    input: (slot, n, dtype) => memory.bytes(inputAddress(slots[slot]!, elements, dtype), n * DTYPE_BYTES[dtype]),
    emr(tile) {
      const { n, zeroSign, output } = tile;
      load(tile);
      kernels.emr(...common(n, result), zeroSign === 'negative' ? 1 : 0, DTYPE_CODES[output]);
      const fault = check(n, result, (index) => elected(values, index, zeroSign));
      cast(n, output);
      return fault;
    },
    linear(tile) {
      const { n, of, divisor, output } = tile;
      load(tile);
      memory.floats(coefficients, tasks).set(tile.coefficients);
      const ofWeights = of === 'weights' ? 1 : 0;
      kernels.linear(...common(n, written), result, coefficients, ofWeights, divisor, DTYPE_CODES[output]);
      const fault = check(n, written, (index) => heaviest(values, index, tile));
      cast(n, output);
      return fault;
    },
    rule({ rule, n, output, ...inputs }) {
      load({ n, ...inputs });
      const bad = locateBadStatistic(all.slice(1 + tasks), n);
      if (bad) return bad;
      const merged = memory.floats(result, padded(n));
      rule(all, n, merged);
      merged.fill(0, n); // as the inputs are there
      kernels.model(...common(n, written), result, DTYPE_CODES[output]);
      const fault = check(n, written, (index) => farthest(values, index));
      cast(n, output);
      return fault;
    },
    upcast(tile) {
      load(tile);
      return all;
    },
    output: (n, dtype) => memory.bytes(dtype === 'F32' ? result : written, n * DTYPE_BYTES[dtype]),
    mask: (task, n) => memory.bytes(masks[task]!, (n + 7) >> 3),
    sums: (n) => memory.doubles(sums, sumRows(n) * sumsLength(tasks)),
  };
}
