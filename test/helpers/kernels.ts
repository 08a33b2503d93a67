import assert from 'node:assert/strict';
import { DTYPE_BYTES, type FloatDtype, type OutputDtype } from '../../src/dtype.js';
import { encode } from '../../src/kernels/cast.js';
import {
  type Engine,
  type LinearTile,
  type MergeWorkspace,
  type Rule,
  sumsLength,
  TILE_ELEMENTS,
  type TileFault,
  type ZeroSign,
} from '../../src/kernels/types.js';

/** One call of an engine: base and tasks as f32 values, and the dtypes they are stored in (F32 where not given). */
export interface MergeCase {
  readonly rows: readonly ArrayLike<number>[];
  readonly dtypes?: readonly FloatDtype[];
  readonly zeroSign?: ZeroSign;
  readonly output?: OutputDtype;
}

export interface MergeResult {
  readonly fault: TileFault | undefined;
  readonly output: Uint8Array<ArrayBuffer>;
  readonly masks: readonly Uint8Array[];
  readonly sums: Float64Array;
}

/** The values as bytes of this dtype, rounded to it. */
export function bytesOf(values: ArrayLike<number>, dtype?: FloatDtype): Buffer {
  if (values instanceof Float64Array) return Buffer.from(values.slice().buffer);
  const bytes = new Uint8Array(values.length * DTYPE_BYTES[dtype ?? 'F32']);
  encode(Float32Array.from(values), dtype ?? 'F32', bytes);
  return Buffer.from(bytes.buffer);
}

/** A small seeded generator (mulberry32): tests that fail, fail again. */
export function random(seed: number) {
  let state = seed + 0x9e3779b9;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    integer: (below: number) => Math.floor(next() * below),
    /** n values in (−scale, scale). */
    values: (n: number, scale: number) => Float32Array.from({ length: n }, () => (2 * next() - 1) * scale),
    picks: (n: number, from: readonly number[]) =>
      Float32Array.from({ length: n }, () => from[Math.floor(next() * from.length)]!),
  };
}

interface RandomOptions {
  readonly tasks?: number;
  readonly dtypes?: readonly FloatDtype[];
  readonly output?: OutputDtype;
  readonly seed: number;
}

/** A base and tasks near it, as fine-tunes are. */
export function randomCase(n: number, options: RandomOptions): MergeCase {
  const tasks = options.tasks ?? options.dtypes!.length - 1;
  const base = random(options.seed).values(n, 1);
  const rows = Array.from({ length: tasks }, (_, t) => {
    const delta = random(options.seed * 31 + t + 1).values(n, 0.05);
    return base.map((x, i) => x + delta[i]!);
  });
  const { dtypes, output } = options;
  return { rows: [base, ...rows], ...(dtypes && { dtypes }), ...(output && { output }) };
}

function fill(engine: Engine, { rows, dtypes }: MergeCase, given?: MergeWorkspace) {
  const n = rows[0]!.length;
  const all = rows.map((_, i) => dtypes?.[i] ?? 'F32');
  const elements = Math.ceil(n / TILE_ELEMENTS) * TILE_ELEMENTS;
  const workspace = given ?? engine.createMerge({ tasks: rows.length - 1, elements, wide: all.includes('F64') });
  rows.forEach((row, slot) => {
    workspace.input(slot, n, all[slot]!).set(bytesOf(row, all[slot]));
  });
  return { workspace, n, base: all[0]!, tasks: all.slice(1) };
}

function collect(
  workspace: MergeWorkspace,
  n: number,
  tasks: number,
  dtype: FloatDtype,
  fault?: TileFault,
): MergeResult {
  return {
    fault,
    output: Uint8Array.from(workspace.output(n, dtype)),
    masks: Array.from({ length: tasks }, (_, t) => Uint8Array.from(workspace.mask(t, n))),
    sums: Float64Array.from(workspace.sums(n)),
  };
}

export function runEmr(engine: Engine, input: MergeCase, given?: MergeWorkspace): MergeResult {
  const { workspace, n, base, tasks } = fill(engine, input, given);
  const { zeroSign = 'zero', output = 'F32' } = input;
  const fault = workspace.emr({ n, base, tasks, zeroSign, output });
  return collect(workspace, n, tasks.length, output, fault);
}

type Linear = Pick<LinearTile, 'of' | 'coefficients' | 'divisor' | 'output'>;

export function runLinear(engine: Engine, input: MergeCase, tile: Linear, given?: MergeWorkspace): MergeResult {
  const { workspace, n, base, tasks } = fill(engine, input, given);
  const fault = workspace.linear({ n, base, tasks, ...tile });
  return collect(workspace, n, tasks.length, tile.output, fault);
}

export function runRule(engine: Engine, input: MergeCase, rule: Rule, output: FloatDtype = 'F32'): MergeResult {
  const { workspace, n, base, tasks } = fill(engine, input);
  const fault = workspace.rule({ n, base, tasks, rule, output });
  return collect(workspace, n, tasks.length, output, fault);
}

/** Outputs, masks and counts bit for bit; other sums within 1e-6 relative, exactly 0 where they are. */
export function assertSameMerge(actual: MergeResult, expected: MergeResult, what: string): void {
  assert.deepEqual(actual.fault, expected.fault, `${what}: fault`);
  assert.ok(Buffer.from(actual.output).equals(expected.output), `${what}: output`);
  actual.masks.forEach((mask, t) => {
    assert.ok(Buffer.from(mask).equals(expected.masks[t]!), `${what}: mask of task ${t}`);
  });
  assert.equal(actual.sums.length, expected.sums.length, `${what}: rows of sums`);
  const length = sumsLength(expected.masks.length);
  expected.sums.forEach((sum, i) => {
    const column = i % length;
    const count = column < length - 2 && column % 8 >= 6;
    const off = Math.abs(actual.sums[i]! - sum);
    const bound = count ? 0 : 1e-6 * sum;
    assert.ok(off <= bound, `${what}: sum ${column} is ${actual.sums[i]}, not ${sum}`);
  });
}
