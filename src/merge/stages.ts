/** Which passes over the weights a merge makes: known from its plan, so that progress has a total before the first. */
import type { TrimProgram } from './methods/types.js';
import type { MergedTensor, MergePlan } from './plan.js';

/**
 * Before the merge: `norms` of the task vectors (DARE with `l1`), `upper` and `lower` halves of the magnitudes (a
 * threshold over the model), `select` (thresholds of each tensor), `balance` of the signs (TIES' majority), `squares` of
 * the Fisher diagonals.
 */
export type SurveyStage = 'norms' | 'upper' | 'lower' | 'select' | 'balance' | 'squares';
export type Stage = SurveyStage | 'merge';

/** In their order: each may need what those before it found. */
export function surveyStages({ merged }: Pick<MergePlan, 'merged'>): SurveyStage[] {
  const wants = (stage: SurveyStage, test: (tensor: MergedTensor) => boolean) => (merged.some(test) ? [stage] : []);
  const total = elements(merged);
  const trims = (scope: TrimProgram['scope'], n: (tensor: MergedTensor) => number) => (tensor: MergedTensor) =>
    trimOf(tensor)?.scope === scope && isOpen(rankOf(trimOf(tensor)!, n(tensor)), n(tensor));
  const ofModel = trims('model', () => total);
  return [
    ...wants('norms', ({ program }) => 'drop' in program && program.drop?.rescale === 'l1'),
    ...wants('upper', ofModel),
    ...wants('lower', ofModel),
    ...wants(
      'select',
      trims('tensor', ({ n }) => n),
    ),
    ...wants('balance', ({ program }) => {
      return program.kind === 'rule' && program.merge.kind === 'ties' && program.merge.zero === 'majority';
    }),
    ...wants('squares', ({ program }) => {
      // Of no elements there is no norm to divide by, and none is needed.
      return total > 0 && program.kind === 'rule' && program.merge.kind === 'fisher' && program.merge.normalise;
    }),
  ];
}

export function trimOf({ program }: Pick<MergedTensor, 'program'>): TrimProgram | undefined {
  return program.kind === 'rule' ? program.trim : undefined;
}

export function elements(merged: readonly MergedTensor[]): number {
  return merged.reduce((sum, { n }) => sum + n, 0);
}

/** The rank, from 1, of the smallest magnitude that is kept; 0 for all, n + 1 for none. */
export function rankOf({ density, keeps }: TrimProgram, n: number): number {
  if (density >= 1) return 0;
  const kept = Math.floor(density * n);
  return keeps === 'official' ? n - kept : n - kept + 1;
}

/** Whether there is a threshold to look for. */
export const isOpen = (rank: number, n: number) => rank >= 1 && rank <= n;

/** Bytes of a tensor that a stage reads; `select` goes twice over those that have a threshold. */
export function stageBytes(stage: Stage, tensor: MergedTensor): number {
  const { n, base, tasks, statistics = [], program } = tensor;
  const weights = sum([base, ...tasks]);
  if (stage === 'squares') return sum(statistics);
  if (stage === 'select') return isOpen(rankOf(trimOf(tensor)!, n), n) ? 2 * weights : 0;
  if (stage !== 'merge') return weights;
  // A RegMean tensor is read whole, solved, and read again in tiles for its sums.
  const solved = program.kind === 'regmean' ? sum(program.drop ? [base, ...tasks] : tasks) : 0;
  return weights + sum(statistics) + solved;
}

/** Bytes that the merge reads of weights and statistics, in all of its passes: what progress counts. */
export function inputBytes(plan: Pick<MergePlan, 'merged'>): number {
  const stages: Stage[] = [...surveyStages(plan), 'merge'];
  return stages.reduce((all, stage) => all + plan.merged.reduce((sum, one) => sum + stageBytes(stage, one), 0), 0);
}

function sum(tensors: readonly { readonly bytes: number }[]): number {
  return tensors.reduce((all, { bytes }) => all + bytes, 0);
}
