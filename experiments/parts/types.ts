import type { Context } from '../context.js';
import type { ModelSpec } from '../training/specs.js';

/** One part of the experiments: computed for each seed by itself, and written as one section of the document. */
export interface Part<R = unknown> {
  /** Of `--only`, and of its files in the cache. */
  readonly name: string;
  /** Raised when what it computes changes: then what is in the cache does not count. */
  readonly version: number;
  /** What has to be trained before. */
  models(seed: number): ModelSpec[];
  run(context: Context, seed: number): Promise<R>;
  /** Whether nothing of the result is missing; what is not whole is run again next time. */
  complete?(result: R): boolean;
  /** Markdown; one result for each seed. */
  render(results: readonly R[]): string;
}
