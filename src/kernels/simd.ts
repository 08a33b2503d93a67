import { createScalarEngine } from './scalar.js';
import type { Engine } from './types.js';

/** Stands in until the WebAssembly kernels are there. */
export async function loadSimdEngine(): Promise<Engine> {
  return { ...createScalarEngine(), name: 'simd' };
}
