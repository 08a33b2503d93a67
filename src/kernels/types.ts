/**
 * The engines that compute a merge, tile by tile. A tile is a run of elements of one tensor. An engine owns the memory
 * of a workspace: callers fill its input views with bytes as they lie in the checkpoints (any float dtype), call one
 * operation, and read the output views. Views stay valid for the life of the workspace; the next call overwrites them.
 *
 * Three engines, one battery of tests (test/conformance/kernels.ts): `simd` (WebAssembly, default), `scalar` (plain
 * TypeScript, the readable reference) and `tfjs` (TensorFlow.js operations). They agree bit for bit on every output and
 * mask; their sums may differ by rounding, below 1e-6 relative. SEMANTICS: docs/semantics.md.
 */
import type { FloatDtype, OutputDtype } from '../dtype.js';

export const ENGINE_NAMES = ['simd', 'scalar', 'tfjs'] as const;
export type EngineName = (typeof ENGINE_NAMES)[number];

/** sgn(0) in the election: `zero` is the paper's reading, `negative` the official code's. */
export type ZeroSign = 'zero' | 'negative';

/**
 * Elements over which sums are accumulated before they are added up in index order. Fixed: it is a multiple of every
 * block an engine works in, and the unit of determinism, so reads and threads may only split at its multiples.
 */
export const TILE_ELEMENTS = 65_536;

/** Per task, in this order, f64; C is where task vector and unified vector have opposite signs, M where the same. */
export const TASK_SUMS = [
  'abs_tau', // Σ|τ|
  'tau_sq', // Στ²
  'masked_abs_u', // Σ_M|u|
  'masked_u_sq', // Σ_M u²
  'aligned_product', // Σ_M|τ||u|
  'conflict_product', // Σ_C|τ||u|
  'aligned', // #M
  'conflicts', // #C
] as const;
export type TaskSums = Record<(typeof TASK_SUMS)[number], number>;

/** Per tile, after all tasks' sums. */
export const UNIFIED_SUMS = ['abs_u', 'u_sq'] as const; // Σ|u|, Σu²

/** Length of a tile's sums: `TASK_SUMS` of task 0, of task 1, …, then `UNIFIED_SUMS`. */
export function sumsLength(tasks: number): number {
  return tasks * TASK_SUMS.length + UNIFIED_SUMS.length;
}

export interface MergeLayout {
  /** N, at least 1. */
  readonly tasks: number;
  /** Most elements of one call; a multiple of TILE_ELEMENTS. */
  readonly elements: number;
  /** Any input is F64: inputs need 8 bytes an element, else 4. */
  readonly wide: boolean;
  /** Further inputs of as many elements, behind the tasks: 0 or N. Default 0. */
  readonly statistics?: number;
}

export interface TileInput {
  /** Elements of this tile, 1 … layout.elements. */
  readonly n: number;
  readonly base: FloatDtype;
  /** Length N. */
  readonly tasks: readonly FloatDtype[];
  /** Of one statistic for each task (`layout.statistics`), where the rule reads any. */
  readonly statistics?: readonly FloatDtype[];
}

export interface EmrTile extends TileInput {
  readonly zeroSign: ZeroSign;
  /**
   * u is elected in f32 and rounded to this dtype (nearest even); masks and sums are those of the rounded u, which is
   * the one that reconstruction will read.
   */
  readonly output: OutputDtype;
}

export interface LinearTile extends TileInput {
  /**
   * `task_vectors`: W = W_pre + (…((c_1·τ_1) + c_2·τ_2) + … + c_N·τ_N), each product and sum rounded to f32.
   * `weights`: W = (…((c_1·W_1) + c_2·W_2) + … + c_N·W_N) / divisor, likewise.
   */
  readonly of: 'task_vectors' | 'weights';
  /** c_t as f32, length N. */
  readonly coefficients: Float32Array;
  /** Rounded to f32 before use. */
  readonly divisor: number;
  /** W is computed in f32 and rounded to this dtype. */
  readonly output: FloatDtype;
}

/**
 * Writes W (n elements, f32) from base, tasks and statistics as f32, of which n elements count. Inputs may be NaN or
 * infinite; then it does not matter what it writes.
 */
export type Rule = (values: readonly Float32Array[], n: number, merged: Float32Array) => void;

export interface RuleTile extends TileInput {
  readonly rule: Rule;
  /** W is computed in f32 and rounded to this dtype. */
  readonly output: FloatDtype;
}

/** What a call found wrong with its input; indices are within the tile. */
export interface TileFault {
  readonly kind: 'non_finite' | 'overflow' | 'result_overflow' | 'statistic';
  /**
   * 0 is the base, t the task t (1 … N). `non_finite`: NaN or infinite as f32, so also an F64 beyond f32. `overflow`:
   * all inputs are finite, but τ_t is beyond f32. `result_overflow`: the result is beyond the output dtype; t is the lowest
   * task whose τ was elected (`emr`), whose term is the largest (`linear`) or whose τ is the largest (`rule`).
   * `statistic`: the statistic of task t is NaN, infinite or negative.
   */
  readonly input: number;
  readonly index: number;
}

export interface MergeWorkspace {
  /**
   * Where the bytes of input 0 (base), t (task t) or N + t (its statistic) go: exactly n × size of dtype. Fill before
   * every operation.
   */
  input(slot: number, n: number, dtype: FloatDtype): Uint8Array;
  /**
   * Elects u, masks and sums (paper Eqs. 1–3, Algorithm 1). Returns a fault, the one of lowest index (of lowest input
   * at that index), if an input is not finite or a task vector overflows; outputs are then undefined.
   */
  emr(tile: EmrTile): TileFault | undefined;
  /** A linear combination; its sums are taken with u = W − W_pre, W as rounded to the output dtype. */
  linear(tile: LinearTile): TileFault | undefined;
  /** Whatever else makes one model, element by element or not: W as the rule writes it, and its sums as of `linear`. */
  rule(tile: RuleTile): TileFault | undefined;
  /** The inputs as f32, in the order of their slots, for what is found out before a merge. */
  upcast(tile: TileInput): readonly Float32Array[];
  /** Bytes of u (after `emr`) or W (after `linear` or `rule`), n × size of dtype. */
  output(n: number, dtype: FloatDtype): Uint8Array;
  /** ⌈n/8⌉ bytes, LSB first, padding bits 0 (after `emr`, `linear` or `rule`). t is 0 … N−1. */
  mask(task: number, n: number): Uint8Array;
  /**
   * Sums of the last call: one row of `sumsLength(N)` for each started TILE_ELEMENTS of the n elements, rows one after
   * the other.
   */
  sums(n: number): Float64Array;
}

export interface ReconstructTile {
  readonly n: number;
  readonly base: FloatDtype;
  readonly unified: OutputDtype;
  readonly output: FloatDtype;
  /** λ_t; rounded to f32 before use. */
  readonly rescaler: number;
}

export interface ReconstructWorkspace {
  /** Views to fill: n × size of dtype. */
  base(n: number, dtype: FloatDtype): Uint8Array;
  unified(n: number, dtype: OutputDtype): Uint8Array;
  /** ⌈n/8⌉ bytes; bit 0 of byte 0 belongs to element 0. */
  mask(n: number): Uint8Array;
  /**
   * Ŵ = W_pre + λ·u where the mask is 1 (f32, one rounding to the output dtype), W_pre's own bits where it is 0 (cast
   * once if the dtypes differ, an F64 after it was rounded to f32, as everywhere). F64 base and output: W_pre's f64 bits
   * where the mask is 0. Returns the bytes. What was in `base` may be overwritten.
   */
  run(tile: ReconstructTile): Uint8Array;
}

export interface Engine {
  readonly name: EngineName;
  createMerge(layout: MergeLayout): MergeWorkspace;
  createReconstruct(elements: number): ReconstructWorkspace;
}
