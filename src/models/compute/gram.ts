import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { EmrError } from '../../errors.js';
import { MAX_GRAM_BYTES } from '../limits.js';
import type { GramTask, RawTensor, StatisticsValues } from '../task.js';
import { choose, examplesFor } from './batches.js';
import { leafLayers, loadModel, type RunnableModel } from './model.js';
import { createRandom } from './random.js';
import type { Meter } from './run.js';

/** The weight of each linear layer, by the layer's class: [out, in] in `Linear`, [in, out] in `Dense`. */
const LINEAR: Readonly<Record<string, string>> = { Linear: 'weight', Dense: 'kernel' };

/** The sum of x·xᵀ over the rows x that a linear layer was given. */
interface Gram {
  readonly tensor: string;
  readonly size: number;
  readonly sum: Float64Array;
  rows: number;
}

/**
 * Of each linear layer XᵀX / n, where the n rows of X are the layer's inputs for all examples (and positions): square
 * and symmetric, of the size of the layer's input, under the name of its weight. A batch in f32, their sum in f64.
 * @see Jin et al., Dataless Knowledge Fusion by Merging Weights of Language Models: https://arxiv.org/abs/2212.09849
 */
export async function gram({ model: files, dataset, samples, seed, batchSize }: GramTask, meter: Meter) {
  const model = await loadModel(files);
  const examples = examplesFor(model, dataset, batchSize);
  const grams = watchLinearLayers(model);
  const chosen = choose(examples.n, samples, createRandom(seed));
  const report = meter('measuring', chosen.length * examples.exampleBytes);
  for (let first = 0; first < chosen.length; first += batchSize) {
    const batch = chosen.slice(first, first + batchSize);
    tf.tidy(() => void model.layers.apply(examples.pick(batch), { training: false }));
    report(batch.length * examples.exampleBytes);
  }
  const values: StatisticsValues = { tensors: grams.length, n: chosen.length };
  return { values, tensors: grams.map((one) => meanTensor(one, files.name)) };
}

/** Adds to a Gram whatever a linear layer is called with from now on: also one that is used twice, or nested. */
function watchLinearLayers({ name, layers, weights }: RunnableModel): Gram[] {
  const grams: Gram[] = [];
  for (const layer of leafLayers(layers)) {
    const weight = LINEAR[layer.getClassName()];
    const known = weights.find(
      ({ variable }) => layer.weights.includes(variable) && variable.originalName.endsWith(`/${weight}`),
    );
    if (weight === undefined || known === undefined) continue;
    const shape = known.variable.shape as [number, number];
    const size = weight === 'weight' ? shape[1] : shape[0];
    requireRoom(name, size, grams);
    const one: Gram = { tensor: known.tensor, size, sum: new Float64Array(size * size), rows: 0 };
    grams.push(one);
    const call = layer.call.bind(layer);
    layer.call = (
      inputs: tf.Tensor | tf.Tensor[],
      kwargs: tfl.layers.Layer['call'] extends (i: never, k: infer K) => unknown ? K : never,
    ) => {
      addRows(one, [inputs].flat()[0]!);
      return call(inputs, kwargs);
    };
  }
  if (grams.length > 0) return grams;
  throw new EmrError('model_invalid', `${name} has no linear layer (${Object.keys(LINEAR).join(', ')}).`, {
    model: name,
  });
}

function addRows(one: Gram, inputs: tf.Tensor): void {
  const rows = tf.reshape(inputs, [-1, one.size]);
  const product = tf.tidy(() => tf.matMul(tf.transpose(rows), rows)).dataSync<'float32'>();
  one.rows += rows.shape[0]!;
  for (let i = 0; i < product.length; i++) one.sum[i]! += product[i]!;
}

function meanTensor({ tensor, size, sum, rows }: Gram, model: string): RawTensor {
  const values = new Float32Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      // A back end may round the two halves differently, and what solves with it wants it symmetric.
      const both = sum[row * size + column]! + sum[column * size + row]!;
      values[row * size + column] = both / (2 * rows);
    }
  }
  if (!values.every(Number.isFinite)) {
    throw new EmrError('model_output', `The inputs of ${tensor} in ${model} are NaN or infinite.`, { model, tensor });
  }
  return { name: tensor, dtype: 'F32', shape: [size, size], bytes: new Uint8Array(values.buffer) };
}

function requireRoom(model: string, size: number, grams: readonly Gram[]): void {
  const elements = grams.reduce((sum, one) => sum + one.size ** 2, size ** 2);
  if (elements * Float32Array.BYTES_PER_ELEMENT <= MAX_GRAM_BYTES) return;
  throw new EmrError('model_too_large', `The Gram matrices of ${model} take more than ${MAX_GRAM_BYTES} bytes.`, {
    model,
    limit: MAX_GRAM_BYTES,
  });
}
