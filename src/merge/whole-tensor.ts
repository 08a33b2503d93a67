/** What a tile thread finds out from all of a tensor before it computes the tensor's items. */

import { DTYPE_BYTES, UNIT_ROUNDOFF } from '../dtype.js';
import { EmrError } from '../errors.js';
import { decode } from '../kernels/cast.js';
import { locateFault } from '../kernels/faults.js';
import { drop } from '../kernels/rules/dare.js';
import { createRegMean } from '../kernels/rules/regmean.js';
import { createTaskVectors } from '../kernels/rules/task-vectors.js';
import { countLower, countUpper, findRank, LOWER_BINS, magnitudeOf, UPPER_BINS } from '../kernels/rules/trim.js';
import type { SolveProgram, SurveyProgram } from './thread-program.js';
import { faultError } from './tile-faults.js';
import type { TileInput, TileItem, TileTensor } from './tile-job.js';

/** Base and tasks of an item as f32, valid until the next are asked for. */
export type ReadItem = (item: TileItem) => Promise<readonly Float32Array[]>;

/** For each task, the magnitude of the rank that the program asks for: two passes over the tensor's items. */
export async function selectThresholds(
  { changes, rank }: Extract<SurveyProgram, { kind: 'select' }>,
  tensor: TileTensor,
  tasks: number,
  items: readonly TileItem[],
  read: ReadItem,
): Promise<number[]> {
  if (rank < 1) return new Array<number>(tasks).fill(0);
  if (rank > tensor.n) return new Array<number>(tasks).fill(Infinity);
  const vectors = createTaskVectors(tasks, changes);
  const eachBlock = async (visit: (tau: Float32Array, m: number, t: number) => void) => {
    for (const item of items) {
      const values = (await read(item)).slice(0, 1 + tasks);
      const sound = vectors(values, item.n, item.start, (taus, _from, m) => {
        for (const [t, tau] of taus.entries()) visit(tau, m, t);
      });
      if (sound) continue;
      const fault = locateFault(values, item.n, new Float32Array(item.n), () => 1);
      if (fault) throw faultError(fault, tensor.name, item.start);
    }
  };
  const upper = Array.from({ length: tasks }, () => new Float64Array(UPPER_BINS));
  await eachBlock((tau, m, t) => countUpper(tau, m, upper[t]!));
  const found = upper.map((counts) => findRank(counts, rank));
  const lower = Array.from({ length: tasks }, () => new Float64Array(LOWER_BINS));
  await eachBlock((tau, m, t) => countLower(tau, m, found[t]!.bin, lower[t]!));
  return found.map(({ bin, rank }, t) => magnitudeOf(bin, findRank(lower[t]!, rank).bin));
}

/** Reads n elements of an input (0 the base, t task t, N + t its statistic) as bytes of their dtype. */
export type ReadInput = (slot: number, input: TileInput, target: Uint8Array) => Promise<void>;

/** The merged weight of a linear layer; `singular_gram`. Holds one task's weight and Gram matrix at a time. */
export async function solveTensor(program: SolveProgram, tensor: TileTensor, read: ReadInput): Promise<Float32Array> {
  const { inputs, outputs, orientation, reduce, drops } = program;
  const grams = tensor.grams!;
  const load = async (slot: number, input: TileInput, n: number) => {
    const bytes = new Uint8Array(n * DTYPE_BYTES[input.dtype]);
    await read(slot, input, bytes);
    return bytes;
  };
  const floats = async (slot: number) => {
    const input = tensor.inputs[slot]!;
    const values = new Float32Array(tensor.n);
    decode(await load(slot, input, tensor.n), input.dtype, values);
    requireFinite(values, (index) => faultError({ kind: 'non_finite', input: slot, index }, tensor.name, 0));
    return values;
  };
  const roundoff = Math.max(...grams.map(({ dtype }) => UNIT_ROUNDOFF[dtype]));
  const system = createRegMean(inputs, outputs, orientation, reduce, roundoff);
  const base = drops ? await floats(0) : undefined;
  for (const [t, input] of grams.entries()) {
    const slot = 1 + grams.length + t;
    const gram = wideOf(await load(slot, input, inputs * inputs), input.dtype);
    requireFinite(gram, (index) => faultError({ kind: 'statistic', input: t + 1, index }, tensor.name, 0));
    requireGram(gram, inputs, LEAST_NORMAL[input.dtype], (index, detail) => {
      const facts = { input: t + 1, tensor: tensor.name, index, statistic: true };
      return new EmrError('invalid_statistic', detail, facts);
    });
    const weight = await floats(1 + t);
    if (base) {
      for (let i = 0; i < weight.length; i++) weight[i] = weight[i]! - base[i]!;
      drop(weight, weight.length, 0, drops![t]!);
      for (let i = 0; i < weight.length; i++) weight[i] = base[i]! + weight[i]!;
    }
    system.add(gram, weight);
  }
  const merged = new Float32Array(tensor.n);
  const singular = system.solve(merged);
  if (singular === undefined) return merged;
  throw new EmrError(
    'singular_gram',
    `The Gram matrices of ${tensor.name}, added up, are singular at row ${singular}: an input of that layer is constant zero or depends on others in every data set.`,
    { tensor: tensor.name, row: singular },
  );
}

function wideOf(bytes: Uint8Array, dtype: TileInput['dtype']): Float64Array | Float32Array {
  if (dtype === 'F64') return new Float64Array(bytes.buffer);
  const values = new Float32Array(bytes.byteLength / DTYPE_BYTES[dtype]);
  decode(bytes, dtype, values);
  return values;
}

/** What rounding to 8 bits of precision (BF16, the worst) may make of an entry, as a share of √(g_ii·g_jj). */
const ROUNDING = 0.01;

/** What is smaller may have become 0 in a diagonal, while the roots of it that stand beside the diagonal have not. */
const LEAST_NORMAL = { F64: 2 ** -1022, F32: 2 ** -126, BF16: 2 ** -126, F16: 2 ** -14 } as const;

/**
 * XᵀX has no negative diagonal, no entry beyond √(g_ii·g_jj), and is symmetric, but for rounding. Of another matrix the
 * solution would be no least squares, or silently that of the lower triangle.
 */
function requireGram(
  gram: Float64Array | Float32Array,
  d: number,
  least: number,
  error: (index: number, detail: string) => EmrError,
): void {
  const roots = new Float64Array(d);
  for (let i = 0; i < d; i++) {
    const square = gram[i * d + i]!;
    if (square < 0) throw error(i * d + i, 'The diagonal of a Gram matrix is negative.');
    roots[i] = Math.sqrt(square + least);
    for (let j = 0; j < i; j++) {
      const scale = roots[i]! * roots[j]!;
      const [below, above] = [gram[i * d + j]!, gram[j * d + i]!];
      if (Math.abs(below) > (1 + ROUNDING) * scale) {
        throw error(i * d + j, 'An entry of a Gram matrix is larger than those of its diagonal allow.');
      }
      if (Math.abs(below - above) > ROUNDING * scale) throw error(i * d + j, 'A Gram matrix is not symmetric.');
    }
  }
}

function requireFinite(values: Float32Array | Float64Array, error: (index: number) => EmrError): void {
  const index = values.findIndex((value: number) => !Number.isFinite(value));
  if (index >= 0) throw error(index);
}
