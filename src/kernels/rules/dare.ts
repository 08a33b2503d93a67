import { threefry, WORDS, type Words } from './threefry.js';

const f32 = Math.fround;

/** Random words made at a time. */
const CHUNK = 1024;

/** How what is kept of a task vector is scaled; a `factor` is rounded to f32 before use. */
export type Rescaling =
  | { readonly by: 'none' }
  /** τ / keep: the expected value stays (DARE, Eq. 2). */
  | { readonly by: 'inverse' }
  /** τ · factor: of mergekit, where the factor is Σ|τ| before over Σ|τ| after. */
  | { readonly by: 'factor'; readonly factor: number };

export interface Drop {
  readonly key: Words;
  /** Probability of an element to stay, 0 … 1. */
  readonly keep: number;
  readonly rescaling: Rescaling;
}

/**
 * DARE (Yu et al., 2024, Eqs. 1–2) on n elements of one task vector, in place: element `start` + i stays where the word
 * of that number under the key is below keep · 2^32. So a bit depends on key and place alone, whatever was computed
 * before it. `start` is a multiple of 4.
 */
export function drop(tau: Float32Array, n: number, start: number, { key, keep, rescaling }: Drop): void {
  const limit = keep * 2 ** 32;
  const divisor = rescaling.by === 'inverse' ? f32(keep) : 1;
  const factor = rescaling.by === 'factor' ? f32(rescaling.factor) : 1;
  const words = new Uint32Array(Math.min(CHUNK, Math.ceil(n / WORDS) * WORDS));
  for (let from = 0; from < n; from += words.length) {
    const block = (start + from) / WORDS;
    threefry(key, [block >>> 0, Math.floor(block / 2 ** 32), 0, 0], words);
    const end = Math.min(n, from + words.length);
    for (let i = from; i < end; i++) {
      tau[i] = words[i - from]! < limit ? f32(tau[i]! / divisor) * factor : 0;
    }
  }
}
