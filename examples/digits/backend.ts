import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

/** Makes TensorFlow.js compute in WebAssembly, or in JavaScript where that cannot start (30 times slower). */
export async function startBackend(): Promise<string> {
  const started = await tf.setBackend('wasm').catch(() => false);
  if (!started) await tf.setBackend('cpu');
  return tf.getBackend();
}
