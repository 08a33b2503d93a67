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

let scratch: readonly Float32Array[] = [];

/**
 * Rows of n zeros, the same ones in every call: new ones for every block would wait for the garbage collection outside
 * the heap, a gigabyte in the course of a large merge.
 */
function zeroRows(n: number) {
  if ((scratch[0]?.length ?? 0) < n) scratch = Array.from({ length: 4 }, () => new Float32Array(n));
  const [signs, sums, divisors, aligned] = scratch.map((row) => row.subarray(0, n).fill(0));
  return { signs: signs!, sums: sums!, divisors: divisors!, aligned: aligned! };
}

/** Sum of the signs of the sums of n elements, for the majority sign: a whole number. */
export function signBalance(taus: readonly Float32Array[], n: number): number {
  const { sums } = zeroRows(n);
  for (const tau of taus) for (let i = 0; i < n; i++) sums[i] = sums[i]! + tau[i]!;
  const bits = new Int32Array(sums.buffer);
  let balance = 0;
  for (let i = 0; i < n; i++) balance += (bits[i]! >> 31) | ((0 - bits[i]!) >>> 31);
  return balance;
}

/**
 * Elect and disjoint merge of TIES (Yadav et al., 2023, Algorithm 1) on trimmed task vectors: W = W_pre + λ·m, where m
 * is the sum, or a mean, of those task vectors that have the sign of the sum of all. Every operation is rounded to f32,
 * in the order of tasks.
 *
 * Task by task and without branches on signs, which a processor would guess wrong half the time: x = τ·γ is exact, and
 * above 0 where a task agrees, so that the sum over those is γ·Σ max(x, 0).
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
  const { signs, sums, divisors, aligned } = zeroRows(n);
  for (const [t, tau] of taus.entries()) {
    const weight = before ? weights[t]! : 1;
    for (let i = 0; i < n; i++) signs[i] = signs[i]! + f32(weight * tau[i]!);
  }
  for (let i = 0; i < n; i++) signs[i] = Math.sign(signs[i]!) || zero;

  for (const [t, tau] of taus.entries()) {
    const [inside, outside] = before ? [weights[t]!, 1] : [1, weights[t]!];
    for (let i = 0; i < n; i++) {
      const x = Math.max(f32(inside * tau[i]!) * signs[i]!, 0);
      aligned[i] = x;
      sums[i] = sums[i]! + f32(outside * x);
    }
    if (per !== 'none') countAligned(aligned, per === 'weights' ? weights[t]! : 1, divisors);
  }
  for (let i = 0; i < n; i++) {
    const mean = f32((signs[i]! * sums[i]!) / (divisors[i]! || 1));
    merged[i] = base[i]! + f32(scale * mean);
  }
}

/** Adds the weight where x is above 0; none of x is below, or -0. */
function countAligned(x: Float32Array, weight: number, divisors: Float32Array): void {
  const bits = new Int32Array(x.buffer);
  for (let i = 0; i < x.length; i++) divisors[i] = divisors[i]! + ((0 - bits[i]!) >>> 31) * weight;
}
