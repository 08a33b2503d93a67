/** Finds out before a merge what a method must know of all weights: thresholds, norms, signs (stages.ts says which). */
import { EmrError } from '../errors.js';
import type { Drop } from '../kernels/rules/dare.js';
import type { Changes } from '../kernels/rules/task-vectors.js';
import { findRank, LOWER_BINS, magnitudeOf, UPPER_BINS } from '../kernels/rules/trim.js';
import { TILE_ELEMENTS } from '../kernels/types.js';
import type { Part } from './make-job.js';
import type { DropProgram, FisherProgram, TiesProgram } from './methods/types.js';
import type { MergedTensor, MergePlan } from './plan.js';
import { elements, isOpen, rankOf, type SurveyStage, surveyStages, trimOf } from './stages.js';
import type { SurveyProgram, ThreadProgram } from './thread-program.js';
import type { TileItem } from './tile-job.js';

/** Runs one pass; `each` gets the figures of every item, in the order of items, valid until it returns. */
export type RunStage = (
  stage: SurveyStage,
  parts: readonly Part[],
  each: (figures: Float64Array, item: TileItem) => void,
) => Promise<void>;

/** What mergekit takes for a norm of nothing: then it does not rescale. */
const LEAST_NORM = 1e-7;

/** The program of each tensor of `plan.merged`, ready for threads; `invalid_statistic`. */
export async function surveyPlan(plan: MergePlan, runStage: RunStage): Promise<ThreadProgram[]> {
  const { merged } = plan;
  const stages = new Set(surveyStages(plan));
  const changes: Changes[] = await findDrops(plan, stages, runStage);
  const thresholds = await findThresholds(plan, stages, changes, runStage);
  const whole = changes.map((change, k) => ({ ...change, thresholds: thresholds[k] }));
  const majority = stages.has('balance') ? await findMajority(merged, whole, runStage) : 1;
  const norms = stages.has('squares') ? await findNorms(plan, runStage) : undefined;
  return merged.map((tensor, k) => resolve(tensor, whole[k]!, majority, norms));
}

function resolve(
  { program }: MergedTensor,
  changes: Changes,
  majority: 1 | -1,
  norms: readonly number[] | undefined,
): ThreadProgram {
  if (program.kind === 'regmean') {
    const { inputs, outputs, orientation, reduce } = program;
    return { kind: 'solve', inputs, outputs, orientation, reduce, drops: changes.drops };
  }
  if (program.kind !== 'rule') return program;
  const { merge } = program;
  switch (merge.kind) {
    case 'linear':
      return { kind: 'rule', rule: { ...merge, ...changes, coefficients: Float32Array.from(merge.coefficients) } };
    case 'ties':
      return { kind: 'rule', rule: { ...tiesRule(merge, majority), ...changes } };
    case 'fisher':
      return { kind: 'rule', rule: { kind: 'fisher', floor: merge.floor, coefficients: perNorm(merge, norms) } };
  }
}

const tiesRule = ({ kind, weights, weighted, per, lambda, zero }: TiesProgram, majority: 1 | -1) => ({
  kind,
  weights: Float32Array.from(weights),
  weighted,
  per,
  lambda,
  zero: zero === 'majority' ? majority : (1 as const),
});

const perNorm = ({ coefficients }: FisherProgram, norms: readonly number[] | undefined) =>
  coefficients.map((coefficient, t) => coefficient / (norms?.[t] ?? 1));

/** The drops of each tensor; their factors, where norms are to be kept. */
async function findDrops(plan: MergePlan, stages: ReadonlySet<SurveyStage>, runStage: RunStage): Promise<Changes[]> {
  const { merged } = plan;
  const programs = merged.map(({ program }) => ('drop' in program ? program.drop : undefined));
  if (!stages.has('norms')) return programs.map((program) => ({ drops: program && dropsOf(program, () => 1) }));
  const tasks = plan.tasks.length;
  const sums = merged.map(() => new Float64Array(2 * tasks));
  const parts = merged.map((tensor, k): Part => {
    const drops = dropsOf(programs[k]!, () => 1);
    return { tensor, program: { kind: 'norms', changes: { drops } } };
  });
  await runStage('norms', parts, (figures, { tensor, n }) => {
    const total = sums[tensor]!;
    for (let i = 0; i < Math.ceil(n / TILE_ELEMENTS) * total.length; i++) total[i % total.length]! += figures[i]!;
  });
  return merged.map((_, k) => ({
    drops: dropsOf(programs[k]!, (t) => {
      const [before, after] = [sums[k]![t]!, sums[k]![tasks + t]!];
      return before < LEAST_NORM || after < LEAST_NORM ? 1 : before / after;
    }),
  }));
}

function dropsOf({ keys, keep, rescale }: DropProgram, factor: (task: number) => number): Drop[] {
  return keys.map((key, t) => ({
    key,
    keep,
    rescaling: rescale === 'l1' ? { by: 'factor', factor: factor(t) } : { by: rescale },
  }));
}

/** Of each tensor and task; undefined where nothing is trimmed. */
async function findThresholds(
  plan: MergePlan,
  stages: ReadonlySet<SurveyStage>,
  changes: readonly Changes[],
  runStage: RunStage,
): Promise<(readonly number[] | undefined)[]> {
  const { merged, tasks } = plan;
  const constant = (rank: number) => tasks.map(() => (rank < 1 ? 0 : Infinity));
  const thresholds = merged.map((tensor) => {
    const trim = trimOf(tensor);
    const n = trim?.scope === 'model' ? elements(merged) : tensor.n;
    return trim && constant(rankOf(trim, n));
  });
  if (stages.has('select')) {
    const open = merged.flatMap((tensor, k) => {
      const rank = rankOf(trimOf(tensor)!, tensor.n);
      return isOpen(rank, tensor.n) ? [{ k, tensor, rank }] : [];
    });
    const parts = open.map(({ tensor, k, rank }): Part => {
      return { tensor, program: { kind: 'select', changes: changes[k]!, rank } };
    });
    await runStage('select', parts, (figures, { tensor, start }) => {
      if (start === 0) thresholds[open[tensor]!.k] = Array.from(figures.subarray(0, tasks.length));
    });
  }
  if (stages.has('upper')) {
    const found = await findModelThresholds(plan, changes, runStage);
    thresholds.fill(found);
  }
  return thresholds;
}

/** One threshold for each task, over all elements of the model: two passes of a histogram. */
async function findModelThresholds(
  { merged, tasks }: MergePlan,
  changes: readonly Changes[],
  runStage: RunStage,
): Promise<number[]> {
  const rank = rankOf(trimOf(merged[0]!)!, elements(merged));
  const count = async (
    stage: 'upper' | 'lower',
    bins: number,
    program: (changes: Changes, counts: SharedArrayBuffer) => SurveyProgram,
  ) => {
    const counts = new SharedArrayBuffer(tasks.length * bins * BigUint64Array.BYTES_PER_ELEMENT);
    const parts = merged.map((tensor, k) => ({ tensor, program: program(changes[k]!, counts) }));
    await runStage(stage, parts, () => {});
    return tasks.map((_, t) =>
      Float64Array.from(new BigUint64Array(counts).subarray(t * bins, (t + 1) * bins), Number),
    );
  };
  const upper = (await count('upper', UPPER_BINS, (changes, counts) => ({ kind: 'upper', changes, counts }))).map(
    (counts) => findRank(counts, rank),
  );
  const bins = upper.map(({ bin }) => bin);
  const lower = await count('lower', LOWER_BINS, (changes, counts) => ({
    kind: 'lower',
    changes,
    counts,
    upper: bins,
  }));
  return upper.map(({ bin, rank }, t) => magnitudeOf(bin, findRank(lower[t]!, rank).bin));
}

/** The sign that most sums of task vectors have; minus if there are as many of each, as in the authors' code. */
async function findMajority(
  merged: readonly MergedTensor[],
  changes: readonly Changes[],
  runStage: RunStage,
): Promise<1 | -1> {
  let balance = 0;
  const parts = merged.map((tensor, k): Part => ({ tensor, program: { kind: 'balance', changes: changes[k]! } }));
  await runStage('balance', parts, (figures, { n }) => {
    for (let tile = 0; tile < Math.ceil(n / TILE_ELEMENTS); tile++) balance += figures[tile]!;
  });
  return balance > 0 ? 1 : -1;
}

/** ‖F_t‖ over all merged tensors. */
async function findNorms({ merged, tasks }: MergePlan, runStage: RunStage): Promise<number[]> {
  const squares = tasks.map(() => 0);
  const parts = merged.map((tensor): Part => ({ tensor, program: { kind: 'squares' } }));
  await runStage('squares', parts, (figures, { n }) => {
    for (let i = 0; i < Math.ceil(n / TILE_ELEMENTS) * tasks.length; i++) squares[i % tasks.length]! += figures[i]!;
  });
  for (const [t, square] of squares.entries()) {
    if (square > 0) continue;
    const { name } = tasks[t]!;
    throw new EmrError('invalid_statistic', `The Fisher diagonal of ${name} has no norm to divide by.`, { task: name });
  }
  return squares.map(Math.sqrt);
}
