import type { Engine, EngineName } from './types.js';

/** Loads the engine of this name; each is loaded only when asked for, so that a merge never pays for TensorFlow.js. */
export async function loadEngine(name: EngineName): Promise<Engine> {
  switch (name) {
    case 'simd':
      return (await import('./simd.js')).loadSimdEngine();
    case 'scalar':
      return (await import('./scalar.js')).createScalarEngine();
    case 'tfjs':
      return (await import('./tfjs.js')).loadTfjsEngine();
  }
}
