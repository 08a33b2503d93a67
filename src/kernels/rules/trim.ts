/**
 * The exact magnitude of a given rank without sorting or holding the vector: the bits of f32 magnitudes order as the
 * magnitudes do, so their upper half is counted in one pass, and in a second the lower half of those whose upper half is
 * the one in question. Counts of parts add up in any order.
 */
export const UPPER_BINS = 2 ** 16;
export const LOWER_BINS = 2 ** 15;
const LOWER_BITS = 15;

/** Counts of whole numbers: f64 holds them beyond 2^32. */
export type Counts = Uint32Array | Float64Array;

/** The magnitudes of the first n values as their bits. */
function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Adds to UPPER_BINS counts. */
export function countUpper(values: Float32Array, n: number, counts: Counts): void {
  const bits = bitsOf(values);
  for (let i = 0; i < n; i++) counts[(bits[i]! & 0x7fff_ffff) >>> LOWER_BITS]!++;
}

/** Adds to LOWER_BINS counts those whose upper half is `upper`. */
export function countLower(values: Float32Array, n: number, upper: number, counts: Counts): void {
  const bits = bitsOf(values);
  for (let i = 0; i < n; i++) {
    const magnitude = bits[i]! & 0x7fff_ffff;
    if (magnitude >>> LOWER_BITS === upper) counts[magnitude & (LOWER_BINS - 1)]!++;
  }
}

/** The bin in which the `rank`-th smallest lies (from 1, at most the sum of the counts), and its rank within that bin. */
export function findRank(counts: ArrayLike<number>, rank: number): { readonly bin: number; readonly rank: number } {
  let left = rank;
  let bin = 0;
  while (left > counts[bin]!) left -= counts[bin++]!;
  return { bin, rank: left };
}

export function magnitudeOf(upper: number, lower: number): number {
  return new Float32Array(Uint32Array.of((upper << LOWER_BITS) | lower).buffer)[0]!;
}

/** Which magnitudes stay, as the rank of the smallest of them, from 1; 0 is all, n + 1 none. */
export type RankOf = (n: number) => number;

/** Sets to +0, in place, what is smaller than the threshold (0 or more): of equal magnitudes all stay or none. */
export function trim(tau: Float32Array, n: number, threshold: number): void {
  if (threshold === 0) return;
  // Without a branch, which a processor would guess wrong: a mask of ones where the magnitude reaches the threshold.
  const below = bitsOf(Float32Array.of(threshold))[0]! - 1;
  const bits = bitsOf(tau);
  for (let i = 0; i < n; i++) {
    const value = bits[i]!;
    bits[i] = value & ((below - (value & 0x7fff_ffff)) >> 31);
  }
}
