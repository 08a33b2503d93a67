import * as tf from '@tensorflow/tfjs-core';
import { EmrError } from '../../errors.js';
import type { FisherTask, RawTensor, StatisticsValues } from '../task.js';
import { choose, examplesFor, labelsOf } from './batches.js';
import { logsOf, notFinite } from './evaluate.js';
import { loadModel, type ModelWeight, type RunnableModel } from './model.js';
import { createRandom, type Random } from './random.js';
import type { Meter } from './run.js';

/** A class and the share that its gradient has in the expectation. */
interface Label {
  readonly index: number;
  readonly weight: number;
}

/**
 * The diagonal of the Fisher information: the mean over examples of the squared gradient of log p(y | x), one example
 * at a time since the square of a sum is none of squares, and summed in f64. Weights that have no gradient, as the
 * stored statistics of batch norm, get 0.
 * @see Matena and Raffel, Merging Models with Fisher-Weighted Averaging, Eq. 3: https://arxiv.org/abs/2111.09832
 */
export async function fisher({ model: files, dataset, labels, samples, seed }: FisherTask, meter: Meter) {
  const model = await loadModel(files);
  const examples = examplesFor(model, dataset, 1);
  const given = labels === 'given' ? labelsOf(dataset, model.classes) : undefined;
  const random = createRandom(seed);
  const chosen = choose(examples.n, samples, random);
  const report = meter('measuring', chosen.length * examples.exampleBytes);
  const sums = model.weights.map(({ variable }) => new Float64Array(tf.util.sizeFromShape(variable.shape as number[])));
  for (const place of chosen) {
    const x = examples.pick([place]);
    const logs = logsOf(model, () => tf.clone(x));
    if (!logs.every(Number.isFinite)) throw notFinite(model, dataset.name, place);
    const wanted = given ? [{ index: given[place]!, weight: 1 }] : labelsFrom(logs, labels, random);
    for (const label of wanted) addSquares(model, x, label, sums);
    x.dispose();
    report(examples.exampleBytes);
  }
  const values: StatisticsValues = { tensors: sums.length, n: chosen.length, labels };
  return { values, tensors: model.weights.map((weight, w) => meanTensor(weight, sums[w]!, chosen.length, model.name)) };
}

/** The labels of one example, from the model's own distribution. */
function labelsFrom(logs: Float32Array, labels: 'expectation' | 'sampled' | 'given', random: Random): Label[] {
  const probabilities = Array.from(logs, Math.exp);
  if (labels === 'expectation') return probabilities.map((weight, index) => ({ index, weight }));
  let left = random() * probabilities.reduce((sum, p) => sum + p, 0);
  const index = probabilities.findIndex((p) => {
    left -= p;
    return left < 0;
  });
  return [{ index: index === -1 ? probabilities.length - 1 : index, weight: 1 }];
}

/** Adds weight · (∂ log p(label | x) / ∂w)² to the sum of every weight. */
function addSquares(model: RunnableModel, x: tf.Tensor, label: Label, sums: readonly Float64Array[]): void {
  // Below, what it adds is lost in f32 beside any class that counts.
  if (label.weight === 0) return;
  const gradients = gradientsOf(model.weights, () => {
    const mask = tf.oneHot(tf.tensor1d([label.index], 'int32'), model.classes);
    return tf.sum(tf.mul(model.logProbabilities(x), mask)) as tf.Scalar;
  });
  gradients.forEach((gradient, w) => {
    const sum = sums[w]!;
    for (let i = 0; i < sum.length && gradient; i++) sum[i]! += label.weight * gradient[i]! * gradient[i]!;
  });
}

/** The gradient of a scalar for each weight; undefined for weights that have none. */
export function gradientsOf(weights: readonly ModelWeight[], scalar: () => tf.Scalar): (Float32Array | undefined)[] {
  let gradients: (Float32Array | undefined)[] = [];
  // `tidy` looks for tensors in what it returns, one element of an array after the other: so nothing is returned.
  tf.tidy(() => {
    const variables = weights.map(({ variable }) => variable.read() as tf.Variable);
    const trainable = variables.filter((variable) => variable.trainable);
    const { grads } = tf.variableGrads(scalar, trainable);
    gradients = variables.map((variable) => grads[variable.name]?.dataSync<'float32'>());
  });
  return gradients;
}

function meanTensor({ tensor, variable }: ModelWeight, sums: Float64Array, n: number, model: string): RawTensor {
  const values = Float32Array.from(sums, (sum) => sum / n);
  if (!values.every(Number.isFinite)) {
    const detail = `The squared gradients of ${tensor} in ${model} are NaN, infinite or beyond f32.`;
    throw new EmrError('model_output', detail, { model, tensor });
  }
  return { name: tensor, dtype: 'F32', shape: variable.shape as number[], bytes: new Uint8Array(values.buffer) };
}
