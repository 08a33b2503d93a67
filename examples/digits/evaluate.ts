import * as tf from '@tensorflow/tfjs-core';
import { startBackend } from './backend.js';
import { type ImageSet, PIXELS, standardise } from './data.js';
import { buildModel } from './model.js';
import { readTest } from './sources.js';
import type { Task } from './tasks.js';
import type { Tensors } from './tensor-files.js';

export interface Evaluation {
  /** Share of the test images whose class was found, 0 … 1. */
  readonly accuracy: number;
  /** How many test images. */
  readonly n: number;
}

/** The accuracy of a model with these weights on images that are standardised here. */
export async function evaluate(images: ImageSet, weights: Tensors): Promise<Evaluation> {
  await startBackend();
  const model = buildModel(weights);
  const n = images.labels.length;
  const classes = tf.tidy(() => {
    const logits = model.predict(tf.tensor2d(standardise(images.pixels), [n, PIXELS]), { batchSize: 500 });
    return tf.argMax(logits as tf.Tensor, 1).dataSync();
  });
  model.dispose();
  return { accuracy: images.labels.filter((label, index) => label === classes[index]).length / n, n };
}

/** The accuracy of a model on a task's held-out images: the same ones for every model. */
export async function evaluateTask(task: Task, weights: Tensors): Promise<Evaluation> {
  return evaluate(await readTest(task), weights);
}
