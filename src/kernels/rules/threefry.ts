/** 128 bits as four unsigned 32-bit words. */
export type Words = readonly [number, number, number, number];

/** Words that one counter gives. */
export const WORDS = 4;

/** What the fifth word of the key schedule starts from (Skein's parity constant, in 32 bits). */
const PARITY = 0x1bd11bda;

/**
 * Threefry-4x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): random words as a
 * function of key and counter, so that any of them can be had without those before it. Fills `words` (a whole number of
 * blocks of four) with those of `counter` and the counters that follow it in their lower 64 bits.
 */
export function threefry(key: Words, counter: Words, words: Uint32Array): void {
  const [k0, k1, k2, k3] = key;
  const injections = createInjections(key);
  let [low, high] = counter;
  for (let at = 0; at < words.length; at += WORDS) {
    let a = (low + k0) | 0;
    let b = (high + k1) | 0;
    let c = (counter[2] + k2) | 0;
    let d = (counter[3] + k3) | 0;
    low = (low + 1) >>> 0;
    if (low === 0) high = (high + 1) >>> 0;
    // Written out, with the rotations as literals: looked up in a table they take more than twice as long.
    for (let next = 0; ; ) {
      a = (a + b) | 0;
      b = ((b << 10) | (b >>> 22)) ^ a;
      c = (c + d) | 0;
      d = ((d << 26) | (d >>> 6)) ^ c;
      a = (a + d) | 0;
      d = ((d << 11) | (d >>> 21)) ^ a;
      c = (c + b) | 0;
      b = ((b << 21) | (b >>> 11)) ^ c;
      a = (a + b) | 0;
      b = ((b << 13) | (b >>> 19)) ^ a;
      c = (c + d) | 0;
      d = ((d << 27) | (d >>> 5)) ^ c;
      a = (a + d) | 0;
      d = ((d << 23) | (d >>> 9)) ^ a;
      c = (c + b) | 0;
      b = ((b << 5) | (b >>> 27)) ^ c;
      a = (a + injections[next++]!) | 0;
      b = (b + injections[next++]!) | 0;
      c = (c + injections[next++]!) | 0;
      d = (d + injections[next++]!) | 0;
      if (next === injections.length) break;
      a = (a + b) | 0;
      b = ((b << 6) | (b >>> 26)) ^ a;
      c = (c + d) | 0;
      d = ((d << 20) | (d >>> 12)) ^ c;
      a = (a + d) | 0;
      d = ((d << 17) | (d >>> 15)) ^ a;
      c = (c + b) | 0;
      b = ((b << 11) | (b >>> 21)) ^ c;
      a = (a + b) | 0;
      b = ((b << 25) | (b >>> 7)) ^ a;
      c = (c + d) | 0;
      d = ((d << 10) | (d >>> 22)) ^ c;
      a = (a + d) | 0;
      d = ((d << 18) | (d >>> 14)) ^ a;
      c = (c + b) | 0;
      b = ((b << 20) | (b >>> 12)) ^ c;
      a = (a + injections[next++]!) | 0;
      b = (b + injections[next++]!) | 0;
      c = (c + injections[next++]!) | 0;
      d = (d + injections[next++]!) | 0;
    }
    words[at] = a;
    words[at + 1] = b;
    words[at + 2] = c;
    words[at + 3] = d;
  }
}

/** What is added to the four words after every four rounds: five times the key, turned by one each time. */
function createInjections([k0, k1, k2, k3]: Words): Int32Array {
  const schedule = [k0, k1, k2, k3, PARITY ^ k0 ^ k1 ^ k2 ^ k3];
  return Int32Array.from({ length: 20 }, (_, at) => {
    const [turn, word] = [1 + Math.floor(at / WORDS), at % WORDS];
    return schedule[(turn + word) % 5]! + (word === 3 ? turn : 0);
  });
}
