import type { z } from 'zod';
import type { Words } from '../../kernels/rules/threefry.js';
import type { ZeroSign } from '../../kernels/types.js';

/**
 * What a method does with a tensor: plain data, the same in every process. What can only be known from all weights (a
 * threshold, a norm) is found out before the merge (../survey.ts).
 */
export type TileProgram = EmrProgram | LinearProgram | RuleProgram | RegMeanProgram;

export interface EmrProgram {
  readonly kind: 'emr';
  readonly zeroSign: ZeroSign;
}

export interface LinearProgram {
  readonly kind: 'linear';
  readonly of: 'task_vectors' | 'weights';
  /** One for each task, in the order of the request. */
  readonly coefficients: readonly number[];
  readonly divisor: number;
}

/** Changes of the task vectors, and then a merge, element by element. */
export interface RuleProgram {
  readonly kind: 'rule';
  readonly drop?: DropProgram | undefined;
  readonly trim?: TrimProgram | undefined;
  readonly merge: LinearProgram | TiesProgram | FisherProgram;
}

export interface DropProgram {
  /** One for each task. */
  readonly keys: readonly Words[];
  readonly keep: number;
  readonly rescale: 'none' | 'inverse' | 'l1';
}

export interface TrimProgram {
  /** Over which elements magnitudes are ranked. */
  readonly scope: 'model' | 'tensor';
  readonly density: number;
  /**
   * With k = ⌊density · n⌋: `official` keeps down to the (n − k)-th smallest magnitude, which is one more than `top`,
   * the k largest. Of equal magnitudes at the threshold both keep all.
   */
  readonly keeps: 'official' | 'top';
}

export interface TiesProgram {
  readonly kind: 'ties';
  readonly weights: readonly number[];
  readonly weighted: 'before' | 'after';
  /** The sign where the sum of the task vectors is 0: the one that most sums of the model have, or plus. */
  readonly zero: 'majority' | 'positive';
  readonly per: 'count' | 'weights' | 'none';
  readonly lambda: number;
}

export interface FisherProgram {
  readonly kind: 'fisher';
  readonly coefficients: readonly number[];
  readonly floor: number;
  /** Divide each diagonal by its norm over all merged tensors. */
  readonly normalise: boolean;
}

/** A linear layer that has Gram matrices. */
export interface RegMeanProgram {
  readonly kind: 'regmean';
  readonly inputs: number;
  readonly outputs: number;
  readonly orientation: 'out_in' | 'in_out';
  readonly reduce: number;
  readonly drop?: DropProgram | undefined;
}

export interface MethodContext {
  /** Task names in the order of the request. */
  readonly tasks: readonly string[];
}

/** A tensor that is merged. */
export interface MethodTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of the tensor's statistic, where the method reads any and there is one. */
  readonly statistic?: readonly number[] | undefined;
}

/** What a method reads beside the weights: for each task a checkpoint with a tensor of the same name. */
export interface Statistics {
  /** `diagonal`: of the weight's shape, for every merged tensor. `gram`: d_in × d_in, for linear layers. */
  readonly kind: 'diagonal' | 'gram';
  /** Names of checkpoints by task. */
  readonly of: Readonly<Record<string, string>>;
}

/**
 * A merging method, declared once: validation, the API's schema, docs and `GET /v1/methods` all come from this. To add
 * one, write a file beside this and name it in ../registry.ts (docs/methods.md).
 */
export interface Method<S extends z.ZodObject = z.ZodObject> {
  /** A literal `type` and the parameters with their defaults and descriptions. */
  readonly params: S;
  readonly title: string;
  readonly paper: string;
  /** `modulated`: u, and a mask and rescalers per task. `model`: one merged model. */
  readonly output: 'modulated' | 'model';
  /** What of the parameters does not fit these tasks and tensors, as sentences; none if all is well. */
  check(params: z.output<S>, context: MethodContext, tensors: readonly MethodTensor[]): string[];
  statistics?(params: z.output<S>): Statistics | undefined;
  /** Of each tensor; what does not depend on the tensor is made once. */
  program(params: z.output<S>, context: MethodContext): (tensor: MethodTensor) => TileProgram;
}

/** Keeps the parameter type of one method's file; the registry sees the general one. */
export function defineMethod<S extends z.ZodObject>(method: Method<S>): Method<S> {
  return method;
}
