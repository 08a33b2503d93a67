import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import { decode, encode, units } from './cast.js';
import type { ReconstructWorkspace } from './types.js';

/** Adds λ·u to the first n of `values` where the mask is 1: one rounding of the product, one of the sum. */
export type Move = (values: Float32Array, u: Float32Array, n: number, masked: Masked, rescaler: number) => void;
export type Masked = (index: number) => boolean;

/** Ŵ_t = W_pre + λ_t·(M_t⊙u) on plain typed arrays. */
export function createArrayReconstruct(elements: number, move: Move): ReconstructWorkspace {
  const bases = new Uint8Array(elements * 8);
  const unifieds = new Uint8Array(elements * 4);
  const masks = new Uint8Array(elements / 8);
  const written = new Uint8Array(elements * 8);
  const values = new Float32Array(elements);
  const u = new Float32Array(elements);

  const base = (n: number, dtype: FloatDtype) => bases.subarray(0, n * DTYPE_BYTES[dtype]);
  const unified = (n: number, dtype: FloatDtype) => unifieds.subarray(0, n * DTYPE_BYTES[dtype]);
  const masked: Masked = (i) => ((masks[i >> 3]! >> (i & 7)) & 1) === 1;

  return {
    base,
    unified,
    mask: (n) => masks.subarray(0, (n + 7) >> 3),
    run(tile) {
      const { n } = tile;
      decode(base(n, tile.base), tile.base, values);
      decode(unified(n, tile.unified), tile.unified, u);
      move(values, u, n, masked, Math.fround(tile.rescaler));
      const result = written.subarray(0, n * DTYPE_BYTES[tile.output]);
      encode(values, tile.output, result);
      if (tile.base === tile.output) {
        // Casts there and back keep values, but not the bits of a NaN or of an F64.
        const own = units(base(n, tile.base), tile.base);
        const target = units(result, tile.output);
        for (let i = 0; i < n; i++) if (!masked(i)) target[i] = own[i]!;
      }
      return result;
    },
  };
}
