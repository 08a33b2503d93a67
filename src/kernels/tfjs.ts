import { createScalarEngine } from './scalar.js';
import type { Engine } from './types.js';

/** Stands in until the TensorFlow.js operations are there. */
export async function loadTfjsEngine(): Promise<Engine> {
  return { ...createScalarEngine(), name: 'tfjs' };
}
