import { promoteAdd, sum4 } from './add';
import { least, MAGNITUDE } from './derive';
import { STEP } from './shape';

/** Σ|τ| and Στ² of m elements (a multiple of STEP) to the task's accumulators. Returns the smallest |τ|. */
@inline
export function measureBlock(tau: usize, derived: usize, m: usize, accumulators: usize): f32 {
  const magnitude = v128.load(derived, MAGNITUDE);
  let absTau = f32x4.splat(0);
  let tauSq = f32x4.splat(0);
  let smallest = magnitude;
  for (const end = tau + (m << 2); tau < end; tau += STEP << 2) {
    const tau0 = v128.load(tau);
    const tau1 = v128.load(tau, 16);
    const tau2 = v128.load(tau, 32);
    const tau3 = v128.load(tau, 48);
    const abs0 = v128.and(tau0, magnitude);
    const abs1 = v128.and(tau1, magnitude);
    const abs2 = v128.and(tau2, magnitude);
    const abs3 = v128.and(tau3, magnitude);
    smallest = i32x4.min_u(smallest, i32x4.min_u(i32x4.min_u(abs0, abs1), i32x4.min_u(abs2, abs3)));
    absTau = f32x4.add(absTau, sum4(abs0, abs1, abs2, abs3));
    tauSq = f32x4.add(tauSq, sum4(f32x4.mul(tau0, tau0), f32x4.mul(tau1, tau1), f32x4.mul(tau2, tau2), f32x4.mul(tau3, tau3)));
  }
  promoteAdd(accumulators, absTau);
  promoteAdd(accumulators + 16, tauSq);
  return least(smallest);
}
