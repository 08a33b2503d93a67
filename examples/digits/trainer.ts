import * as tf from '@tensorflow/tfjs-core';
import { PIXELS } from './data.js';
import { buildModel, modelShapes, weightsOf } from './model.js';
import { normal, type Random } from './random.js';
import type { Tensors } from './tensor-files.js';

const BATCH = 64;
const PEAK_RATE = 1e-3;

/** Gives the next batch: standardised inputs [size, 196] and classes. */
export type NextBatch = (size: number) => { readonly inputs: Float32Array; readonly labels: Uint8Array };

/** Random weights (He's for the body, smaller ones for the head), zero biases, unit gains. */
export function randomWeights(classes: number, random: Random): Tensors {
  const draw = (name: string, [outputs, inputs]: number[]) => {
    if (inputs) return normal(outputs! * inputs, Math.sqrt((name.startsWith('head') ? 1 : 2) / inputs), random);
    return new Float32Array(outputs!).fill(name.startsWith('norms') && name.endsWith('weight') ? 1 : 0);
  };
  return new Map([...modelShapes(classes)].map(([name, shape]) => [name, { shape, data: draw(name, shape) }]));
}

/** Adam whose learning rate can be set before each step. */
class ScheduledAdam extends tf.AdamOptimizer {
  constructor() {
    super(PEAK_RATE, 0.9, 0.999, 1e-8);
  }

  set rate(rate: number) {
    this.learningRate = rate;
  }
}

/**
 * Trains all weights: Adam, 1e-3 falling to 0 along a cosine, batches of 64, cross-entropy.
 * @returns the trained weights; `start` is left as it is
 */
export function train(start: Tensors, steps: number, nextBatch: NextBatch): Tensors {
  const classes = start.get('head.bias')!.shape[0]!;
  const model = buildModel(start);
  const optimizer = new ScheduledAdam();
  for (let step = 0; step < steps; step += 1) {
    optimizer.rate = (PEAK_RATE / 2) * (1 + Math.cos((Math.PI * step) / steps));
    tf.tidy(() => {
      const { inputs, labels } = nextBatch(BATCH);
      const targets = tf.oneHot(tf.tensor1d(labels, 'int32'), classes);
      const x = tf.tensor2d(inputs, [BATCH, PIXELS]);
      optimizer.minimize(() => tf.losses.softmaxCrossEntropy(targets, model.apply(x) as tf.Tensor));
    });
  }
  const trained = weightsOf(model);
  optimizer.dispose();
  model.dispose();
  return trained;
}
