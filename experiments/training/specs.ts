import type { Key } from '../cache.js';
import { SUITES, type SuiteName } from '../suites/suites.js';

/** How a fine-tune gets its head: random and trained with the body, or a linear probe of the base that then stays. */
export type HeadProtocol = 'random' | 'probed';
export type ArchitectureName = 'mlp' | 'vit';

interface Trained {
  readonly architecture: ArchitectureName;
  readonly seed: number;
}

/** A model that an experiment needs. */
export type ModelSpec =
  | (Trained & { readonly kind: 'base' })
  | (Trained & {
      readonly kind: 'fine-tune';
      readonly suite: SuiteName;
      readonly task: string;
      readonly head: HeadProtocol;
    })
  | (Trained & { readonly kind: 'joint'; readonly suite: SuiteName });

/** Changes when training itself changes; a suite has its own. */
const RECIPE = 1;

export const baseSpec = ({ architecture, seed }: Trained): ModelSpec => ({ kind: 'base', architecture, seed });

/** A short name that tells the model from every other one. */
export function labelOf(spec: ModelSpec): string {
  const { architecture, seed } = spec;
  if (spec.kind === 'base') return `${architecture}-base-${seed}`;
  if (spec.kind === 'joint') return `${architecture}-${spec.suite}-joint-${seed}`;
  return `${architecture}-${spec.suite}-${spec.task}-${spec.head}-${seed}`;
}

export function keyOf(spec: ModelSpec): Key {
  const suite = spec.kind === 'base' ? undefined : SUITES[spec.suite];
  return { label: labelOf(spec), from: { spec, recipe: RECIPE, suite: suite && [suite.version, suite.steps] } };
}
