import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';

/** Optional; not in package.json's dependencies, since its installer downloads a library from outside the registry. */
const NATIVE = '@tensorflow/tfjs-node';

/** The back ends to try, the fastest first, each with the module that registers it. */
const BACKENDS = [
  { name: 'tensorflow', load: loadNative },
  { name: 'wasm', load: () => import('@tensorflow/tfjs-backend-wasm') },
  { name: 'cpu', load: () => import('@tensorflow/tfjs-backend-cpu') },
];

/**
 * Runs `compute` on the fastest back end that starts here and has every operation that is needed: WebAssembly lacks
 * those of the gradients of convolutions, so that these run in plain JavaScript. What is missing shows at the first
 * batch, so little is computed twice.
 */
export async function onBackend<Result>(compute: () => Promise<Result>): Promise<{ backend: string; result: Result }> {
  let missing: unknown = new Error('No back end of TensorFlow.js starts here');
  for (const { name, load } of BACKENDS) {
    if (!(await starts(name, load))) continue;
    try {
      return { backend: name, result: await compute() };
    } catch (error) {
      if (!lacksKernel(error)) throw error;
      missing = error;
    }
  }
  throw missing;
}

async function starts(name: string, load: () => Promise<unknown>): Promise<boolean> {
  try {
    await load();
    return await tf.setBackend(name);
  } catch {
    return false;
  }
}

/** The native binding still calls a function that Node 23 has dropped. */
async function loadNative(): Promise<unknown> {
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === null || value === undefined });
  return import(NATIVE);
}

function lacksKernel(error: unknown): boolean {
  return error instanceof Error && /^Kernel '.*' not registered for backend/.test(error.message);
}
