import { readFile } from 'node:fs/promises';
import { createSimdMerge } from './simd-merge.js';
import { createSimdReconstruct } from './simd-reconstruct.js';
import type { Engine } from './types.js';

/** The kernels of assembly/, built beside this file: WebAssembly with 128-bit SIMD and shared memory. The default. */
export async function loadSimdEngine(): Promise<Engine> {
  const module = await WebAssembly.compile(await readFile(new URL('./kernels.wasm', import.meta.url)));
  return {
    name: 'simd',
    createMerge: (layout) => createSimdMerge(module, layout),
    createReconstruct: (elements) => createSimdReconstruct(module, elements),
  };
}
