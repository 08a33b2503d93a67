import * as tf from '@tensorflow/tfjs-core';

/** Optional; not in package.json's dependencies, since its installer downloads a library from outside the registry. */
const NATIVE = '@tensorflow/tfjs-node';

/** The back ends to try, the fastest first, each with the module that registers it. */
const BACKENDS = [
  { name: 'tensorflow', load: () => import(NATIVE) },
  { name: 'wasm', load: () => import('@tensorflow/tfjs-backend-wasm') },
  { name: 'cpu', load: () => import('@tensorflow/tfjs-backend-cpu') },
];

/** TensorFlow.js with the first back end that starts here and that does not flush subnormal numbers to zero. */
export async function startTensorFlow(): Promise<typeof tf> {
  for (const { name, load } of BACKENDS) {
    const loaded = await load().then(
      () => true,
      () => false,
    );
    if (loaded && (await tf.setBackend(name).catch(() => false)) && keepsSubnormals()) return tf;
  }
  throw new Error('No back end of TensorFlow.js starts here');
}

function keepsSubnormals(): boolean {
  const least = 2 ** -149;
  return tf.tidy(() => tf.sub(tf.tensor1d([3 * least]), tf.tensor1d([least])).dataSync()[0] === 2 * least);
}
