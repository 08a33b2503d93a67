/**
 * Compares two well-formed strings by their UTF-8 bytes, which is the order of their code points and the order in
 * which safetensors sorts names. JavaScript's own `<` compares UTF-16 units and puts U+1F600 before U+FF41.
 */
export function compareUtf8(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let i = 0; i < length; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** Moves the surrogates D800..DFFF above E000..FFFF, for they stand for code points from U+10000. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
