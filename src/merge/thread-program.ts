/** What a tile thread does with a tensor: a method's program with all that was found out before. Plain data. */
import type { TensorRule } from '../kernels/rules/rule.js';
import type { Changes } from '../kernels/rules/task-vectors.js';
import type { EmrProgram, LinearProgram, RegMeanProgram } from './methods/types.js';

export type ThreadProgram =
  | EmrProgram
  | LinearProgram
  | { readonly kind: 'rule'; readonly rule: TensorRule }
  | SolveProgram
  | SurveyProgram;

/** RegMean of one linear layer. */
export type SolveProgram = { readonly kind: 'solve' } & Pick<Changes, 'drops'> &
  Pick<RegMeanProgram, 'inputs' | 'outputs' | 'orientation' | 'reduce'>;

/** A stage of stages.ts; each leaves its figures where a merge leaves its sums. */
export type SurveyProgram =
  /** For each tile, of each task: Σ|τ| and Σ|τ| of what is left of it. */
  | { readonly kind: 'norms'; readonly changes: Changes }
  /** Adds to `counts`, N × UPPER_BINS of u64. */
  | { readonly kind: 'upper'; readonly changes: Changes; readonly counts: SharedArrayBuffer }
  /** Adds to `counts`, N × LOWER_BINS of u64, for the upper half of each task. */
  | {
      readonly kind: 'lower';
      readonly changes: Changes;
      readonly counts: SharedArrayBuffer;
      readonly upper: readonly number[];
    }
  /** For each task: the magnitude of this rank in the tensor. */
  | { readonly kind: 'select'; readonly changes: Changes; readonly rank: number }
  /** For each tile: the sum of the signs of the sums. */
  | { readonly kind: 'balance'; readonly changes: Changes }
  /** For each tile, of each task: Σ F². */
  | { readonly kind: 'squares' };

/** Whether all of a tensor must have been read before its first item can be computed. */
export function isWhole({ kind }: ThreadProgram): boolean {
  return kind === 'select' || kind === 'solve';
}

export function isSurvey(program: ThreadProgram): program is SurveyProgram {
  return !['emr', 'linear', 'rule', 'solve'].includes(program.kind);
}
