/** −p·log₂ p, 0 at 0. */
const term = (p: number) => (p > 0 ? -p * Math.log2(p) : 0);

/** Entropy of a bit that is 1 with this probability, in bits. */
export const bitEntropy = (density: number) => term(density) + term(1 - density);

/** Entropy of a distribution that is given by counts, in bits. */
export function entropy(counts: Iterable<number>): number {
  const all = [...counts];
  const total = all.reduce((sum, count) => sum + count, 0);
  return all.reduce((sum, count) => sum + term(count / total), 0);
}

/**
 * Entropy of a bit given the magnitude of the number beside it, in bits: numbers are sorted by |value| into groups of
 * equal size, and each group has its own density.
 */
export function conditionalEntropy(bits: Uint8Array, values: Float32Array, groups: number): number {
  const order = Uint32Array.from(bits, (_, index) => index).sort((a, b) => Math.abs(values[a]!) - Math.abs(values[b]!));
  let total = 0;
  for (let group = 0; group < groups; group += 1) {
    const members = order.subarray(
      Math.floor((group * order.length) / groups),
      Math.floor(((group + 1) * order.length) / groups),
    );
    if (members.length === 0) continue;
    const ones = members.reduce((sum, index) => sum + bits[index]!, 0);
    total += members.length * bitEntropy(ones / members.length);
  }
  return total / bits.length;
}

/** Entropy of the bits of all masks at one place, taken together, in bits for each mask. At most 16 masks. */
export function jointEntropy(masks: readonly Uint8Array[]): number {
  if (masks.length > 16) throw new RangeError(`${masks.length} masks have more patterns than can be counted`);
  const counts = new Uint32Array(2 ** masks.length);
  for (let index = 0; index < masks[0]!.length; index += 1) {
    counts[masks.reduce((pattern, mask) => 2 * pattern + mask[index]!, 0)]! += 1;
  }
  return entropy(counts) / masks.length;
}

/** The bits of a packed mask, least significant first. */
export const unpackBits = (packed: Uint8Array, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, (_, index) => (packed[index >> 3]! >> (index & 7)) & 1);

/** The reverse of {@link unpackBits}; padding is 0. */
export function packBits(bits: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(bits.length / 8));
  for (const [index, bit] of bits.entries()) packed[index >> 3]! |= bit << (index & 7);
  return packed;
}
