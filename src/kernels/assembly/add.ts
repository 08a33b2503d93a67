/** Four f32 vectors as a tree, so that a partial sum sees few additions. */
@inline
export function sum4(a: v128, b: v128, c: v128, d: v128): v128 {
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}

/** Adds the four f32 of `partial` to the f64x2 at `accumulator`. */
@inline
export function promoteAdd(accumulator: usize, partial: v128): void {
  const low = f64x2.promote_low_f32x4(partial);
  const high = f64x2.promote_low_f32x4(v128.shuffle<u64>(partial, partial, 1, 1));
  v128.store(accumulator, f64x2.add(v128.load(accumulator), f64x2.add(low, high)));
}
