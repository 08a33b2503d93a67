/** n F64 at `at` become n f32 at the same place (nearest even), front to back: each write lies behind all reads to come. */
export function shrinkF64(at: usize, n: i32): void {
  for (let i: usize = 0; i < <usize>n; i += 4) {
    const low = f32x4.demote_f64x2_zero(v128.load(at + (i << 3)));
    const high = f32x4.demote_f64x2_zero(v128.load(at + (i << 3), 16));
    v128.store(at + (i << 2), v128.shuffle<u64>(low, high, 0, 2));
  }
}
