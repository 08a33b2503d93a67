import type { MethodRequest, Rendering } from '../service/types.js';

/** One setting of a method. */
export interface Candidate {
  /** The setting in words. */
  readonly setting: string;
  readonly method: MethodRequest;
  /** Of the downloads; none: as the merge was asked for. */
  readonly rendering?: Rendering;
}

/** A row of the comparison. Where there are several settings, validation images pick one. */
export interface Entry {
  readonly name: string;
  /** What the method uses beside checkpoints. */
  readonly uses: 'nothing' | 'validation labels' | 'unlabelled images' | 'training images';
  readonly candidates: readonly Candidate[];
  /** A statistics job that fills `statistics`, or AdaMerging's, which fills `coefficients`. */
  readonly job?: JobNeed;
}

/** What has to be computed from data before the merge: docs/methods.md. */
export type JobNeed =
  | { readonly type: 'fisher' | 'gram' }
  | { readonly type: 'adamerging'; readonly granularity: 'task' | 'layer'; readonly trimmed: boolean };

const one = (name: string, method: MethodRequest, rest: Partial<Entry> = {}): Entry => ({
  name,
  uses: 'nothing',
  candidates: [{ setting: '', method }],
  ...rest,
});
const swept = (name: string, candidates: readonly Candidate[], rest: Partial<Entry> = {}): Entry => ({
  name,
  uses: 'validation labels',
  candidates,
  ...rest,
});

/** All combinations of two lists. */
const grid = <A, B>(first: readonly A[], second: readonly B[]): [A, B][] =>
  first.flatMap((a) => second.map((b): [A, B] => [a, b]));

const LAMBDAS = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1];
const RATES = [0.1, 0.3, 0.5, 0.7, 0.9];
const DENSITIES = [0.1, 0.2, 0.5, 0.8];
/** A mean of agreeing entries is about N times smaller than their sum, which `vision` takes. */
const TIES_LAMBDAS = {
  official: [0.5, 1, 1.5, 2, 3],
  vision: [0.1, 0.2, 0.3, 0.5],
  mergekit: [0.5, 1, 1.5, 2, 3],
  peft: [0.5, 1, 1.5, 2, 3],
};

const taskArithmetic = (lambda: number): Candidate => ({
  setting: `λ ${lambda}`,
  method: { type: 'task_arithmetic', lambda },
});
const ties = (dialect: keyof typeof TIES_LAMBDAS): Candidate[] =>
  grid(DENSITIES, TIES_LAMBDAS[dialect]).map(([density, lambda]) => ({
    setting: `keep ${density}, λ ${lambda}`,
    method: { type: 'ties', dialect, density, lambda },
  }));
const dare = (rate: number, setting: string, inner: MethodRequest): Candidate => ({
  setting: setting ? `p ${rate}, ${setting}` : `p ${rate}`,
  method: { type: 'dare', drop_rate: rate, seed: 0, inner },
});
const regmean = (reduce: number): Candidate => ({ setting: `a ${reduce}`, method: { type: 'regmean', reduce } });
const emr = (setting: string, rendering: Rendering): Candidate => ({ setting, method: { type: 'emr' }, rendering });
const adamerging = (granularity: 'task' | 'layer', trimmed: boolean): Entry =>
  one(
    `AdaMerging${trimmed ? '++' : ''}, ${granularity}-wise`,
    { type: 'adamerging', ...(trimmed ? { trimmed: { density: 0.2 } } : {}) },
    { uses: 'unlabelled images', job: { type: 'adamerging', granularity, trimmed } },
  );

/** Every method that is compared, in the order of the table. */
export const ENTRIES: readonly Entry[] = [
  one('Weight averaging', { type: 'average' }),
  swept('Task Arithmetic', LAMBDAS.map(taskArithmetic)),
  swept('TIES, official', ties('official')),
  swept('TIES, vision', ties('vision')),
  swept('TIES, mergekit', ties('mergekit')),
  swept('TIES, peft', ties('peft')),
  ...RATES.map((rate) => one(`DARE p ${rate} + averaging`, dare(rate, '', { type: 'average' }).method)),
  ...RATES.map((rate) =>
    swept(
      `DARE p ${rate} + Task Arithmetic`,
      [0.1, 0.2, 0.3, 0.5].map((lambda) => dare(rate, `λ ${lambda}`, { type: 'task_arithmetic', lambda })),
    ),
  ),
  ...RATES.map((rate) =>
    swept(
      `DARE p ${rate} + TIES`,
      grid([0.2, 0.5, 0.8], [0.5, 1, 2]).map(([density, lambda]) =>
        dare(rate, `keep ${density}, λ ${lambda}`, { type: 'ties', dialect: 'official', density, lambda }),
      ),
    ),
  ),
  ...RATES.map((rate) =>
    one(`DARE p ${rate} + RegMean`, dare(rate, '', { type: 'regmean', reduce: 0.9 }).method, {
      uses: 'training images',
      job: { type: 'gram' },
    }),
  ),
  swept(
    'Fisher merging',
    [true, false].map((normalise) => ({
      setting: normalise ? 'normalised' : 'as it is',
      method: { type: 'fisher', normalise },
    })),
    { uses: 'training images', job: { type: 'fisher' } },
  ),
  swept('RegMean', [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99].map(regmean), {
    uses: 'training images',
    job: { type: 'gram' },
  }),
  adamerging('task', false),
  adamerging('layer', false),
  adamerging('task', true),
  adamerging('layer', true),
  ...(['elect', 'mask'] as const).map((steps) =>
    one(
      steps === 'elect' ? 'EMR, elect only' : 'EMR, elect and mask',
      { type: 'emr' },
      {
        candidates: [emr('', { steps })],
      },
    ),
  ),
  ...grid(['model', 'tensor'], ['global', 'tensor-mean', 'l2']).map(([scope, rescaler]) =>
    one(
      `EMR, ${rescaler}${scope === 'tensor' ? ', per tensor' : ''}`,
      { type: 'emr' },
      {
        candidates: [emr('', { rescaler: rescaler!, scope: scope! })],
      },
    ),
  ),
];
