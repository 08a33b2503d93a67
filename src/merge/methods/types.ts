import type { z } from 'zod';
import type { ZeroSign } from '../../kernels/types.js';

/** What a tile thread does with a tensor's tiles: plain data, since it crosses threads. */
export type TileProgram =
  | { readonly kind: 'emr'; readonly zeroSign: ZeroSign }
  | {
      readonly kind: 'linear';
      readonly of: 'task_vectors' | 'weights';
      /** One for each task, in the order of the request. */
      readonly coefficients: readonly number[];
      readonly divisor: number;
    };

export interface MethodContext {
  /** Task names in the order of the request. */
  readonly tasks: readonly string[];
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
  /** What of the parameters does not fit these tasks, as sentences; none if all is well. */
  check(params: z.output<S>, context: MethodContext): string[];
  program(params: z.output<S>, tensor: string, context: MethodContext): TileProgram;
}

/** Keeps the parameter type of one method's file; the registry sees the general one. */
export function defineMethod<S extends z.ZodObject>(method: Method<S>): Method<S> {
  return method;
}
