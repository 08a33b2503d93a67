/** What a model's thread is given and what it answers: plain data, since it crosses threads. */
import { z } from 'zod';
import type { Dtype } from '../dtype.js';
import type { ErrorCode, ErrorFacts } from '../errors.js';
import type { Progress } from '../queue/types.js';
import { type AdaMergingRequest, FISHER_LABELS, type FisherRequest } from './request.js';

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

/** Which examples are used: so many, drawn by the seed. */
export interface Subset {
  readonly samples: number | undefined;
  readonly seed: number;
}

export interface FisherTask extends Subset {
  readonly type: 'fisher';
  readonly model: ModelFiles;
  readonly dataset: Dataset;
  readonly labels: FisherRequest['labels'];
}

export interface GramTask extends Subset {
  readonly type: 'gram';
  readonly model: ModelFiles;
  readonly dataset: Dataset;
  readonly batchSize: number;
}

export interface AdaMergingTask {
  readonly type: 'adamerging';
  /** With its merged tensors alone. */
  readonly base: Pick<ModelFiles, 'name' | 'tensors'>;
  readonly tasks: readonly { readonly name: string; readonly model: ModelFiles; readonly dataset: Dataset }[];
  readonly options: Pick<
    AdaMergingRequest,
    'granularity' | 'trimmed' | 'steps' | 'learning_rate' | 'initial' | 'batch_size' | 'seed'
  >;
}

export type ModelTask = EvaluateTask | FisherTask | GramTask | AdaMergingTask;

export const evaluationValues = z.object({ accuracy: z.number(), loss: z.number(), n: z.int() });
export type EvaluationValues = z.output<typeof evaluationValues>;

export const statisticsValues = z.object({
  tensors: z.int().describe('In the checkpoint that was made.'),
  n: z.int().describe('Examples that were used.'),
  labels: z.enum(FISHER_LABELS).optional(),
});
export type StatisticsValues = z.output<typeof statisticsValues>;

export const adaMergingValues = z.object({
  coefficients: z
    .record(z.string(), z.union([z.number(), z.record(z.string(), z.number())]))
    .describe('By task, and by tensor if so asked: as the method `adamerging` takes them.'),
  entropy: z
    .object({ before: z.number(), after: z.number() })
    .describe('Mean entropy of the outputs, in nats, with the initial and with the final coefficients.'),
  steps: z.int(),
});
export type AdaMergingValues = z.output<typeof adaMergingValues>;

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
