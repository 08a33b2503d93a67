import type { Tensors } from '../examples/digits/tensor-files.js';
import type { Cache } from './cache.js';
import type { Evaluator } from './evaluate.js';
import type { Session } from './service/session.js';
import type { Images } from './suites/images.js';
import { SUITES, type SuiteName } from './suites/suites.js';
import type { Suite, SuiteTask } from './suites/types.js';
import type { Models } from './training/models.js';
import { type ArchitectureName, baseSpec, type HeadProtocol, labelOf, type ModelSpec } from './training/specs.js';

/** The models of one suite and seed, trained in one way. */
export interface Setting {
  readonly suite: SuiteName;
  readonly seed: number;
  readonly architecture: ArchitectureName;
  readonly head: HeadProtocol;
}

/** Everything that a part of the experiments works with. */
export interface Context {
  readonly cache: Cache;
  readonly images: Images;
  readonly models: Models;
  readonly session: Session;
  evaluator(architecture: ArchitectureName): Evaluator;
  /** @throws TimeIsUp between two pieces of work, once the time that was given is over */
  pause(): void;
  say(text: string): void;
}

/** All that was done until here is kept; the same command goes on from there. */
export class TimeIsUp extends Error {}

export const suiteOf = ({ suite }: Setting): Suite => SUITES[suite];
export const fineTuneSpec = ({ suite, seed, architecture, head }: Setting, task: string): ModelSpec => ({
  kind: 'fine-tune',
  architecture,
  suite,
  task,
  seed,
  head,
});

export const readFineTune = ({ models }: Context, setting: Setting, task: SuiteTask): Promise<Tensors> =>
  models.read(fineTuneSpec(setting, task.name));
export const readBase = ({ models }: Context, setting: Setting): Promise<Tensors> => models.read(baseSpec(setting));

/** The name of the setting's base on the server. */
export const baseName = (setting: Setting) => labelOf(baseSpec(setting));
export const checkpointName = (setting: Setting, task: SuiteTask) => labelOf(fineTuneSpec(setting, task.name));
