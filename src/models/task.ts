/** What a model's thread is given and what it answers: plain data, since it crosses threads. */
import { z } from 'zod';
import type { Dtype } from '../dtype.js';
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { Progress } from '../queue/types.js';

export interface RawTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Aligned to its dtype. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A model as it lies in a checkpoint. */
export interface ModelFiles {
  /** The checkpoint or task whose model it is, for errors. */
  readonly name: string;
  /** The content of model.json. */
  readonly topology: object;
  readonly tensors: readonly RawTensor[];
}

export interface Dataset {
  readonly name: string;
  /** [n, …] */
  readonly x: RawTensor;
  /** [n] */
  readonly y?: RawTensor;
}

export interface EvaluateTask {
  readonly type: 'evaluate';
  readonly model: ModelFiles;
  readonly dataset: Dataset;
  readonly batchSize: number;
}

export type ModelTask = EvaluateTask;

export const evaluationValues = z.object({ accuracy: z.number(), loss: z.number(), n: z.int() });
export type EvaluationValues = z.output<typeof evaluationValues>;

/** What was computed, with the back end of TensorFlow.js that did it: `tensorflow` (native), `wasm` or `cpu`. */
export interface ModelResult {
  readonly backend: string;
  /** Of the type's own result. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Of a new checkpoint, for types that make one. */
  readonly tensors?: readonly RawTensor[];
}

export type ModelMessage =
  | { readonly progress: Progress }
  | { readonly done: ModelResult }
  | { readonly failed: { readonly code: ErrorCode; readonly detail: string; readonly facts: ErrorFacts } };
