import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { elementCount, type FloatDtype, isFloat } from '../../dtype.js';
import { EmrError } from '../../errors.js';
import { decode } from '../../kernels/cast.js';
import { MAX_CLASSES } from '../limits.js';
import type { ModelFiles, RawTensor } from '../task.js';
import './functional.js';
import './layers.js';
import { matchWeights } from './match-weights.js';

/** A weight of the model and the checkpoint's tensor that it is. */
export interface ModelWeight {
  readonly tensor: string;
  readonly variable: tfl.LayerVariable;
  /** Of batch norm, stored: negative, it makes NaN. */
  readonly isVariance: boolean;
}

/** A classifier with its weights, on the back end that is set. */
export interface RunnableModel {
  readonly name: string;
  readonly layers: tfl.LayersModel;
  readonly weights: readonly ModelWeight[];
  /** Of one example. */
  readonly inputShape: readonly (number | null)[];
  readonly classes: number;
  /** log p(class | x) [batch, classes] of inputs [batch, …], without dropout and with stored statistics. */
  logProbabilities(x: tf.Tensor): tf.Tensor2D;
  dispose(): void;
}

/** Probabilities below this count as this: the convention of Keras. */
const LEAST_PROBABILITY = 1e-7;

/**
 * Builds the model of a topology and gives it the checkpoint's weights. `model_invalid` if the topology cannot be built
 * or is no classifier, `model_mismatch` if a weight is missing, left over, or of another shape, `non_finite_weight`, and
 * `model_output` for a negative variance.
 */
export async function loadModel({ name, topology, tensors }: ModelFiles): Promise<RunnableModel> {
  const available = tensors.filter(({ dtype }) => isFloat(dtype)).reduce((n, { shape }) => n + elementCount(shape), 0);
  const layers = await buildWithin(available, name, () =>
    tfl.loadLayersModel({ load: async () => ({ modelTopology: topology }) }),
  );
  const { inputShape, classes } = requireClassifier(layers, name);
  const variances = storedVariances(layers);
  const weights = matchWeights(name, layers, tensors).map(({ variable, tensor }) => {
    const weight = { variable, tensor: tensor.name, isVariance: variances.has(variable) };
    setWeight(weight, floatsOf(tensor, name), name);
    return weight;
  });
  // What a topology says of training is not asked: statistics are of all weights.
  for (const layer of leafLayers(layers)) layer.trainable = true;
  const toLogs = outputsProbabilities(layers) ? logOfProbabilities : logSoftmax;
  return {
    name,
    layers,
    weights,
    inputShape,
    classes,
    logProbabilities: (x) => tf.tidy(() => toLogs(layers.apply(x, { training: false }) as tf.Tensor2D)),
    dispose: () => void layers.dispose(),
  };
}

/** Every layer that is no container of others. */
export function leafLayers(container: tfl.LayersModel): tfl.layers.Layer[] {
  return container.layers.flatMap((layer) => ('layers' in layer ? leafLayers(layer as tfl.LayersModel) : [layer]));
}

function storedVariances(layers: tfl.LayersModel): Set<tfl.LayerVariable> {
  const norms = leafLayers(layers).filter((layer) => layer.getClassName() === 'BatchNormalization');
  const weights = norms.flatMap((layer) => layer.weights);
  return new Set(weights.filter(({ originalName }) => originalName.endsWith('/moving_variance')));
}

/**
 * Gives a weight other values; `model_output` for those that make NaN, which not every activation of every back end
 * hands on: the ReLU of WebAssembly makes it 0.
 */
export function setWeight({ variable, tensor: name, isVariance }: ModelWeight, values: Float32Array, model: string) {
  const index = values.findIndex((value) => !Number.isFinite(value) || (isVariance && value < 0));
  if (index >= 0) {
    const detail = `${name} of ${model} is ${values[index]} at flat index ${index}: the model's numbers are NaN or infinite.`;
    throw new EmrError('model_output', detail, { model, tensor: name, index });
  }
  const tensor = tf.tensor(values, variable.shape as number[]);
  variable.write(tensor);
  tensor.dispose();
}

/** The elements of a float tensor as f32; `non_finite_weight`. */
export function floatsOf({ name, dtype, shape, bytes }: RawTensor, checkpoint: string): Float32Array<ArrayBuffer> {
  const values = new Float32Array(elementCount(shape));
  decode(bytes, dtype as FloatDtype, values);
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index === -1) return values;
  const where = `${name} at flat index ${index} of checkpoint ${checkpoint}`;
  throw new EmrError('non_finite_weight', `A weight is NaN, infinite or beyond f32. It is ${where}.`, {
    checkpoint,
    tensor: name,
    index,
  });
}

/** The method that every layer makes its weights by, which is not public. */
interface LayerPrototype {
  addWeight(
    this: tfl.layers.Layer,
    name: string,
    shape: readonly number[],
    dtype: unknown,
    initializer: unknown,
    ...rest: readonly unknown[]
  ): tfl.LayerVariable;
}

/**
 * Builds with zeros for weights, since all of them are replaced, and stops a topology that asks for more of them than
 * the checkpoint has, before it takes the memory.
 */
async function buildWithin(elements: number, name: string, build: () => Promise<tfl.LayersModel>) {
  const prototype = tfl.layers.Layer.prototype as unknown as LayerPrototype;
  const { addWeight } = prototype;
  let left = elements;
  prototype.addWeight = function (weight, shape, dtype, _initializer, ...rest) {
    left -= elementCount(shape);
    if (!(left >= 0)) {
      const detail = `The topology of ${name} has more weights than its safetensors, at ${this.name}/${weight} [${shape}].`;
      throw new EmrError('model_mismatch', detail, { model: name, weight: `${this.name}/${weight}` });
    }
    return addWeight.call(this, weight, shape, dtype, tfl.initializers.zeros(), ...rest);
  };
  try {
    return await build();
  } catch (error) {
    if (error instanceof EmrError) throw error;
    throw invalid(name, `cannot be built: ${messageOf(error)}`);
  } finally {
    prototype.addWeight = addWeight;
  }
}

function requireClassifier(layers: tfl.LayersModel, name: string) {
  const [inputs, outputs] = [layers.inputs.map(({ shape }) => shape), layers.outputs.map(({ shape }) => shape)];
  if (inputs.length !== 1) throw invalid(name, `has ${inputs.length} inputs; taken are models with one.`);
  const [, classes] = outputs[0] ?? [];
  const isClassifier = outputs.length === 1 && outputs[0]!.length === 2 && classes! >= 2 && classes! <= MAX_CLASSES;
  if (!isClassifier) {
    throw invalid(name, `puts out ${JSON.stringify(outputs)}; taken are classifiers, [batch, classes].`);
  }
  const last = lastActivation(layers);
  if (last === 'sigmoid' || last === 'hardSigmoid') {
    throw invalid(name, `ends in ${last}: classes that do not exclude each other have no cross-entropy here.`);
  }
  return { inputShape: inputs[0]!.slice(1), classes: classes! };
}

function outputsProbabilities(layers: tfl.LayersModel): boolean {
  return lastActivation(layers) === 'softmax';
}

/** The activation of the layer whose output is the model's; of a Softmax layer, softmax. */
function lastActivation(container: tfl.LayersModel): string | undefined {
  // A Sequential fills `outputLayers` only when it is first called.
  const layer = container instanceof tfl.Sequential ? container.layers.at(-1)! : container.outputLayers[0]!;
  if ('layers' in layer) return lastActivation(layer as tfl.LayersModel);
  if (layer.getClassName() === 'Softmax') return 'softmax';
  const { activation } = layer.getConfig();
  return typeof activation === 'string' ? activation : undefined;
}

const logSoftmax = (logits: tf.Tensor2D) => tf.sub(logits, tf.logSumExp(logits, 1, true)) as tf.Tensor2D;
const logOfProbabilities = (p: tf.Tensor2D) => tf.log(tf.maximum(p, LEAST_PROBABILITY)) as tf.Tensor2D;

export function messageOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).slice(0, 300);
}

function invalid(name: string, detail: string): EmrError {
  return new EmrError('model_invalid', `The topology of ${name} ${detail}`, { model: name });
}
