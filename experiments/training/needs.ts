import { SUITES, type SuiteName } from '../suites/suites.js';
import type { ArchitectureName, HeadProtocol, ModelSpec } from './specs.js';

export interface Wanted {
  readonly suite: SuiteName;
  readonly seed: number;
  readonly architecture: ArchitectureName;
  readonly heads: readonly HeadProtocol[];
  /** Also one model that is trained on all tasks at once. */
  readonly joint: boolean;
}

/** The models of one suite and seed. Their bases go without saying. */
export function specsOf({ suite, seed, architecture, heads, joint }: Wanted): ModelSpec[] {
  const fineTunes = heads.flatMap((head) =>
    SUITES[suite].tasks.map(
      ({ name }): ModelSpec => ({ kind: 'fine-tune', architecture, suite, task: name, seed, head }),
    ),
  );
  // The longest first, so that processes end together.
  return joint ? [{ kind: 'joint', architecture, suite, seed }, ...fineTunes] : fineTunes;
}
