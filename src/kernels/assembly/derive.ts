import { BLOCK_BYTES, STEP } from './shape';

/** Σ|u| and Σu² of a tile so far, 2 × f64x2, before the signs, magnitudes and squares of a block's u. */
export const DERIVED_SUMS: usize = 32;

@inline
export function promoteAdd(accumulator: usize, partial: v128): void {
  const low = f64x2.promote_low_f32x4(partial);
  const high = f64x2.promote_low_f32x4(v128.shuffle<u64>(partial, partial, 1, 1));
  v128.store(accumulator, f64x2.add(v128.load(accumulator), f64x2.add(low, high)));
}

@inline
function derive(u: usize, target: usize): v128 {
  const zero = f32x4.splat(0);
  const value = v128.load(u);
  const magnitude = f32x4.abs(value);
  const one = f32x4.splat(1);
  const sign = v128.or(v128.and(f32x4.gt(value, zero), one), v128.and(f32x4.lt(value, zero), f32x4.splat(-1)));
  v128.store(target, sign);
  v128.store(target + BLOCK_BYTES, magnitude);
  v128.store(target + 2 * BLOCK_BYTES, f32x4.mul(value, value));
  return magnitude;
}

/**
 * For m elements (a multiple of STEP) of u: sgn(u), |u| and u², three arrays of a block at `derived + DERIVED_SUMS`;
 * adds their sums to the accumulators before them.
 */
export function deriveBlock(u: usize, m: usize, derived: usize): void {
  let absU = f32x4.splat(0);
  let uSq = f32x4.splat(0);
  for (let at: usize = 0; at < m << 2; at += STEP << 2) {
    const target = derived + DERIVED_SUMS + at;
    const a = f32x4.add(derive(u + at, target), derive(u + at + 16, target + 16));
    const b = f32x4.add(derive(u + at + 32, target + 32), derive(u + at + 48, target + 48));
    absU = f32x4.add(absU, f32x4.add(a, b));
    const squares = target + 2 * BLOCK_BYTES;
    const c = f32x4.add(v128.load(squares), v128.load(squares, 16));
    const d = f32x4.add(v128.load(squares, 32), v128.load(squares, 48));
    uSq = f32x4.add(uSq, f32x4.add(c, d));
  }
  promoteAdd(derived, absU);
  promoteAdd(derived + 16, uSq);
}
