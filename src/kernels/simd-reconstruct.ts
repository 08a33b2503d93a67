import { DTYPE_BYTES } from '../dtype.js';
import { createArena, DTYPE_CODES } from './simd-memory.js';
import type { ReconstructWorkspace } from './types.js';

/** Ŵ_t = W_pre + λ_t·(M_t⊙u) on the WebAssembly kernel, for all dtypes in one pass. */
export function createSimdReconstruct(module: WebAssembly.Module, elements: number): ReconstructWorkspace {
  const arena = createArena();
  const base = arena.take(elements * 8);
  const unified = arena.take(elements * 4);
  const mask = arena.take(elements / 8);
  const target = arena.take(elements * 8);
  const lanes = arena.take(32);
  const { kernels, bytes } = arena.open(module);
  return {
    base: (n, dtype) => bytes(base, n * DTYPE_BYTES[dtype]),
    unified: (n, dtype) => bytes(unified, n * DTYPE_BYTES[dtype]),
    mask: (n) => bytes(mask, (n + 7) >> 3),
    run(tile) {
      const { n, rescaler, output } = tile;
      // In place where an element is read whole before it is written: a third less memory to go through.
      const to = tile.base === output && output !== 'F64' ? base : target;
      const [ofBase, ofUnified, ofOutput] = [tile.base, tile.unified, output].map((dtype) => DTYPE_CODES[dtype]);
      kernels.reconstruct(base, ofBase!, unified, ofUnified!, mask, rescaler, to, ofOutput!, n, lanes);
      return bytes(to, n * DTYPE_BYTES[output]);
    },
  };
}
