import { TASK_SUMS, type TaskSums } from '../kernels/types.js';

/**
 * Everything that is algebra on the sums of a merge: rescalers, distances and cosines of one task (docs/semantics.md,
 * "The sums behind every figure"). Pure functions; a zero denominator gives 0.
 */
export const RESCALERS = ['global', 'tensor_mean', 'l2'] as const;
export type Rescaler = (typeof RESCALERS)[number];
export type Rescalers = Record<Rescaler, number>;

/** `model`: one λ per task; `tensor`: one per task and tensor. */
export type RescalerScope = 'model' | 'tensor';

/** The sums of one task over one tensor of n elements, with the tensor's own Σ|u| and Σu². */
export interface TensorSums extends TaskSums {
  readonly n: number;
  readonly abs_u: number;
  readonly u_sq: number;
}

const SUM_NAMES = ['n', 'abs_u', 'u_sq', ...TASK_SUMS] as const;
const NO_SUMS = Object.fromEntries(SUM_NAMES.map((name) => [name, 0])) as { [name in keyof TensorSums]: number };

const ratio = (numerator: number, denominator: number) => (denominator === 0 ? 0 : numerator / denominator);
const total = <T>(items: readonly T[], value: (item: T) => number) => items.reduce((sum, item) => sum + value(item), 0);

/** Sums over several runs of elements, added in their order; the sums of no elements are all 0. */
export function addSums(parts: readonly TensorSums[]): TensorSums {
  if (parts.length === 1) return parts[0]!;
  const sums = { ...NO_SUMS };
  for (const part of parts) for (const name of SUM_NAMES) sums[name] += part[name];
  return sums;
}

/**
 * λ_t of all three kinds, in scope `model`, from the sums over every merged tensor k:
 * `global` = Σ|τ| / Σ_M|u| (paper Eq. 13); `tensor_mean` = Σ_k mean|τ^k| / Σ_k mean|M^k⊙u^k|, empty tensors skipped
 * (official code); `l2` = ⟨τ, M⊙u⟩ / ‖M⊙u‖² (the minimiser of Eq. 12), where ⟨τ, M⊙u⟩ = Σ_M|τ||u|.
 */
export function rescalers(tensors: readonly TensorSums[]): Rescalers {
  const all = addSums(tensors);
  const filled = tensors.filter(({ n }) => n > 0);
  return {
    global: ratio(all.abs_tau, all.masked_abs_u),
    tensor_mean: ratio(
      total(filled, (k) => k.abs_tau / k.n),
      total(filled, (k) => k.masked_abs_u / k.n),
    ),
    l2: ratio(all.aligned_product, all.masked_u_sq),
  };
}

/** λ_t^k of all three kinds for one tensor (scope `tensor`), where `tensor_mean` equals `global`. */
export function tensorRescalers(tensor: TensorSums): Rescalers {
  return rescalers([tensor]);
}

/** One figure for each step of EMR. */
export interface Steps {
  readonly unified: number;
  readonly masked: number;
  readonly rescaled: Rescalers;
}

/** The λ of each tensor: the model's for all, or each its own. */
function scoped(tensors: readonly TensorSums[], scope: RescalerScope): Rescalers[] {
  const whole = rescalers(tensors);
  return tensors.map((tensor) => (scope === 'model' ? whole : tensorRescalers(tensor)));
}

const each = (figure: (kind: Rescaler) => number): Rescalers => ({
  global: figure('global'),
  tensor_mean: figure('tensor_mean'),
  l2: figure('l2'),
});

/**
 * Squared L2 distances between the task vector and what stands for it, summed over tensors:
 * `unified` ‖τ − u‖² = Στ² − 2(Σ_M|τ||u| − Σ_C|τ||u|) + Σu² (Eq. 7), `masked` ‖τ − M⊙u‖² = Στ² − 2Σ_M|τ||u| + Σ_M u²
 * (Eq. 9), `rescaled` ‖τ − λM⊙u‖² = Στ² − 2λΣ_M|τ||u| + λ²Σ_M u² (Eq. 12). Rounding never makes one negative.
 */
export function distances(tensors: readonly TensorSums[], scope: RescalerScope = 'model'): Steps {
  const lambdas = scoped(tensors, scope);
  const sum = (distance: (k: TensorSums, i: number) => number) =>
    Math.max(
      0,
      tensors.reduce((all, k, i) => all + distance(k, i), 0),
    );
  return {
    unified: sum((k) => k.tau_sq - 2 * (k.aligned_product - k.conflict_product) + k.u_sq),
    masked: sum((k) => k.tau_sq - 2 * k.aligned_product + k.masked_u_sq),
    rescaled: each((kind) =>
      sum((k, i) => {
        const lambda = lambdas[i]![kind];
        return k.tau_sq - 2 * lambda * k.aligned_product + lambda * lambda * k.masked_u_sq;
      }),
    ),
  };
}

/**
 * Cosines between the task vector and what stands for it: ⟨τ, u⟩ / (‖τ‖‖u‖), ⟨τ, M⊙u⟩ / (‖τ‖‖M⊙u‖), and with λ^k·u^k
 * for u. In scope `model` λ cancels out, so `rescaled` differs from `masked` only where λ = 0.
 */
export function cosines(tensors: readonly TensorSums[], scope: RescalerScope = 'model'): Steps {
  const lambdas = scoped(tensors, scope);
  const all = addSums(tensors);
  const cosine = (product: number, square: number) =>
    Math.min(1, ratio(product, Math.sqrt(all.tau_sq) * Math.sqrt(square)));
  return {
    unified: Math.max(-1, cosine(all.aligned_product - all.conflict_product, all.u_sq)),
    masked: cosine(all.aligned_product, all.masked_u_sq),
    rescaled: each((kind) => {
      const lambda = (i: number) => lambdas[i]![kind];
      return cosine(
        tensors.reduce((sum, k, i) => sum + lambda(i) * k.aligned_product, 0),
        tensors.reduce((sum, k, i) => sum + lambda(i) ** 2 * k.masked_u_sq, 0),
      );
    }),
  };
}
