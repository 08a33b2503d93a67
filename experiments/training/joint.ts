import * as tf from '@tensorflow/tfjs-core';
import { PIXELS } from '../../examples/digits/data.js';
import type { Random } from '../../examples/digits/random.js';
import type { Tensors } from '../../examples/digits/tensor-files.js';
import type { Examples } from '../suites/images.js';
import type { Architecture } from './architecture.js';
import { plainBatches } from './batches.js';
import { crossEntropy, optimise, readWeights, variablesOf } from './optimise.js';

/** Of all tasks together, shared as evenly as it goes. */
const BATCH = 256;
/** Takes the logits of other tasks' heads out of a softmax. */
const NEVER = -1e9;

/** The weights with the head of the task at this place, of those that were trained jointly. */
export function ofTask(joint: Tensors, place: number, classes: number): Tensors {
  return new Map(
    [...joint].map(([name, { shape, data }]) => {
      if (!name.startsWith('head.')) return [name, { shape, data }];
      const row = data.length / shape[0]!;
      const own = data.slice(row * classes * place, row * classes * (place + 1));
      return [name, { shape: [classes, ...shape.slice(1)], data: own }];
    }),
  );
}

/**
 * Traditional multi-task learning: one body and a head for each task, trained on all tasks at once. The heads lie in
 * one layer of classes × tasks outputs, and each example sees its own task's.
 * @param budget `images` of each task that are seen in all: as many as the task's own fine-tune sees
 */
export function trainJointly(
  architecture: Architecture,
  start: Tensors,
  tasks: readonly Examples[],
  budget: { readonly classes: number; readonly images: number; readonly rate: number },
  random: Random,
): Tensors {
  const { classes } = budget;
  const share = Math.max(1, Math.floor(BATCH / tasks.length));
  const rows = share * tasks.length;
  const draws = tasks.map((examples) => plainBatches(examples, random));
  const others = Float32Array.from({ length: rows * classes * tasks.length }, (_, index) => {
    const [row, output] = [Math.floor(index / (classes * tasks.length)), index % (classes * tasks.length)];
    return Math.floor(row / share) === Math.floor(output / classes) ? 0 : NEVER;
  });
  const mask = tf.tensor2d(others, [rows, classes * tasks.length]);
  const model = architecture.build(start);
  const steps = Math.ceil(budget.images / share);
  optimise({ steps, rate: budget.rate }, variablesOf(model, { head: true }), () => {
    const inputs = new Float32Array(rows * PIXELS);
    const labels = new Int32Array(rows);
    for (const [place, draw] of draws.entries()) {
      const batch = draw(share);
      inputs.set(batch.inputs, place * share * PIXELS);
      labels.set(
        Int32Array.from(batch.labels, (label) => classes * place + label),
        place * share,
      );
    }
    const logits = model.apply(tf.tensor2d(inputs, [rows, PIXELS])) as tf.Tensor;
    return crossEntropy(tf.tensor1d(labels, 'int32'), tf.add(logits, mask));
  });
  const trained = readWeights(model, start);
  model.dispose();
  mask.dispose();
  return trained;
}
