import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Tensors } from '../../examples/digits/tensor-files.js';

/** Adam whose learning rate can be set before each step. */
class ScheduledAdam extends tf.AdamOptimizer {
  set rate(rate: number) {
    this.learningRate = rate;
  }
}

export interface Schedule {
  readonly steps: number;
  /** The first learning rate; it falls to 0 along a cosine. */
  readonly rate: number;
}

/** Minimises `loss(step)` over `variables` by Adam. */
export function optimise(schedule: Schedule, variables: tf.Variable[], loss: (step: number) => tf.Scalar): void {
  const optimizer = new ScheduledAdam(schedule.rate, 0.9, 0.999, 1e-8);
  for (let step = 0; step < schedule.steps; step += 1) {
    optimizer.rate = (schedule.rate / 2) * (1 + Math.cos((Math.PI * step) / schedule.steps));
    tf.tidy(() => {
      optimizer.minimize(() => loss(step), false, variables);
    });
  }
  optimizer.dispose();
}

/** Mean cross-entropy of logits [n, classes] and int32 labels [n]. */
export function crossEntropy(labels: tf.Tensor1D, logits: tf.Tensor): tf.Scalar {
  const targets = tf.oneHot(labels, logits.shape[1]!);
  return tf.losses.softmaxCrossEntropy(targets, logits);
}

/** The variables of a network's layers; without those of its last one where the head is to stay as it is. */
export function variablesOf(model: tfl.LayersModel, { head }: { readonly head: boolean }): tf.Variable[] {
  const layers = head ? model.layers : model.layers.slice(0, -1);
  // The type of a LayerVariable hides the variable that it holds; reading it gives that very object.
  return layers.flatMap((layer) => layer.trainableWeights.map((weight) => weight.read() as tf.Variable));
}

/** A copy of the network's weights, named and shaped as in `like`. */
export function readWeights(model: tfl.LayersModel, like: Tensors): Tensors {
  const current = model.getWeights();
  return new Map(
    [...like].map(([name, { shape }], index) => [name, { shape, data: current[index]!.dataSync<'float32'>().slice() }]),
  );
}
