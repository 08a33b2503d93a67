import { roundTo } from './round';
import { BLOCK_BYTES, F32 } from './shape';

// Algorithm 1, lines 1-6, for one block. The tasks of a position pass through registers one after the other:
//
//   base  b0 b1 b2 b3      tau_t = W_t - b        s    = tau_1 + ... + tau_N   (task order: the order of rounding)
//   W_t   w0 w1 w2 w3      stored for the sums    high = max(0, tau_1, ...)   low = min(0, tau_1, ...)
//
// A position is three such vectors, 12 elements: with a base, s, high and low each and three tau, they fill the 15
// registers that there are, and so share the cost of the loop over the tasks among as many elements as can be.
//
// u is `high` where s > 0 and `low` where s < 0; where s = 0 it is 0, or `low` if the zero counts as negative.
// high and low are taken on the bits as integers: max_s sees negative values below 0, and max_u, from -0 up, sees the
// positive ones below and the negative ones by magnitude. NaN and infinity survive both, and the sums find them.

@inline
function unified(s: v128, high: v128, low: v128, below: v128, dtype: i32): v128 {
  const zero = f32x4.splat(0);
  const u = v128.or(v128.and(f32x4.gt(s, zero), high), v128.and(f32x4.lt(s, below), low));
  return f32x4.add(roundTo(u, dtype), zero); // -0 + 0 is +0
}

/**
 * For m elements from `base`, with task t's weights at `weights + t * stride`: writes τ_t to `taus + t * BLOCK_BYTES`
 * and u, rounded, to `target`. As m is a multiple of STEP, the last position may reach 8 elements beyond it. There every
 * array has room, and nobody reads what it finds: the next block, if any, writes its own u there.
 */
@inline
function electInto(
  base: usize, weights: usize, stride: usize, tasks: usize, m: usize,
  taus: usize, target: usize, zeroIsNegative: i32, dtype: i32,
): void {
  // The sums below the smallest positive f32 are those up to and with zero.
  const below = i32x4.splat(zeroIsNegative);
  for (let at: usize = 0; at < m << 2; at += 48) {
    const base0 = v128.load(base + at);
    const base1 = v128.load(base + at, 16);
    const base2 = v128.load(base + at, 32);
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let high0 = f32x4.splat(0);
    let high1 = f32x4.splat(0);
    let high2 = f32x4.splat(0);
    let low0 = i32x4.splat(i32.MIN_VALUE);
    let low1 = i32x4.splat(i32.MIN_VALUE);
    let low2 = i32x4.splat(i32.MIN_VALUE);
    let weight = weights + at;
    let tau = taus + at;
    const end = tau + tasks * BLOCK_BYTES;
    while (tau < end) {
      const tau0 = f32x4.sub(v128.load(weight), base0);
      const tau1 = f32x4.sub(v128.load(weight, 16), base1);
      const tau2 = f32x4.sub(v128.load(weight, 32), base2);
      v128.store(tau, tau0);
      v128.store(tau, tau1, 16);
      v128.store(tau, tau2, 32);
      s0 = f32x4.add(s0, tau0);
      s1 = f32x4.add(s1, tau1);
      s2 = f32x4.add(s2, tau2);
      high0 = i32x4.max_s(high0, tau0);
      high1 = i32x4.max_s(high1, tau1);
      high2 = i32x4.max_s(high2, tau2);
      low0 = i32x4.max_u(low0, tau0);
      low1 = i32x4.max_u(low1, tau1);
      low2 = i32x4.max_u(low2, tau2);
      weight += stride;
      tau += BLOCK_BYTES;
    }
    v128.store(target + at, unified(s0, high0, low0, below, dtype));
    v128.store(target + at, unified(s1, high1, low1, below, dtype), 16);
    v128.store(target + at, unified(s2, high2, low2, below, dtype), 32);
  }
}

/** As above; the common dtype has a loop of its own, which keeps the registers that the others need for rounding. */
export function electBlock(
  base: usize, weights: usize, stride: usize, tasks: usize, m: usize,
  taus: usize, target: usize, zeroIsNegative: i32, dtype: i32,
): void {
  if (dtype == F32) electInto(base, weights, stride, tasks, m, taus, target, zeroIsNegative, F32);
  else electInto(base, weights, stride, tasks, m, taus, target, zeroIsNegative, dtype);
}
