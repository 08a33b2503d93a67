const f32 = Math.fround;

export interface TiesMerge {
  /** Of each task, as f32. */
  readonly weights: Float32Array;
  /** Whether the weights take part in the election (mergekit), or only in the sum (PEFT). */
  readonly weighted: 'before' | 'after';
  /** The sign where the sum of all task vectors is 0. */
  readonly zero: 1 | -1;
  /** What the sum over those of the elected sign is divided by: their number, their weights, or nothing. */
  readonly per: 'count' | 'weights' | 'none';
  /** Rounded to f32 before use. */
  readonly lambda: number;
}

/** Sum of the signs of the sums of n elements, for the majority sign: a whole number. */
export function signBalance(taus: readonly Float32Array[], n: number): number {
  let balance = 0;
  for (let i = 0; i < n; i++) {
    let sum = taus[0]![i]!;
    for (let t = 1; t < taus.length; t++) sum = f32(sum + taus[t]![i]!);
    if (sum > 0) balance++;
    else if (sum < 0) balance--;
  }
  return balance;
}

/**
 * Elect and disjoint merge of TIES (Yadav et al., 2023, Algorithm 1) on trimmed task vectors: W = W_pre + λ·m, where m
 * is the sum, or a mean, of those task vectors that have the sign of the sum of all. Every operation is rounded to f32,
 * in the order of tasks.
 */
export function mergeTies(
  base: Float32Array,
  taus: readonly Float32Array[],
  n: number,
  { weights, weighted, zero, per, lambda }: TiesMerge,
  merged: Float32Array,
): void {
  const scale = f32(lambda);
  const before = weighted === 'before';
  for (let i = 0; i < n; i++) {
    let elected = 0;
    for (let t = 0; t < taus.length; t++) {
      elected = f32(elected + (before ? f32(weights[t]! * taus[t]![i]!) : taus[t]![i]!));
    }
    const positive = elected === 0 ? zero > 0 : elected > 0;
    let sum = 0;
    let divisor = 0;
    for (let t = 0; t < taus.length; t++) {
      const tau = taus[t]![i]!;
      const product = f32(weights[t]! * tau);
      const voter = before ? product : tau;
      if (positive ? !(voter > 0) : !(voter < 0)) continue;
      sum = f32(sum + product);
      divisor = per === 'weights' ? f32(divisor + weights[t]!) : divisor + 1;
    }
    const mean = per === 'none' || divisor === 0 ? sum : f32(sum / divisor);
    merged[i] = base[i]! + f32(scale * mean);
  }
}
