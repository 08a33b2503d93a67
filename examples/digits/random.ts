import type { Random } from '../../src/models/compute/random.js';

export { createRandom, type Random, shuffled } from '../../src/models/compute/random.js';

/** `count` draws from a normal distribution with mean 0 (Box and Muller). */
export function normal(count: number, deviation: number, random: Random): Float32Array {
  return Float32Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    return deviation * radius * Math.cos(2 * Math.PI * random());
  });
}
