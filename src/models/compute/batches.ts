import * as tf from '@tensorflow/tfjs-core';
import { DTYPE_BYTES, type Dtype, elementCount, type FloatDtype } from '../../dtype.js';
import { EmrError } from '../../errors.js';
import { decode } from '../../kernels/cast.js';
import { MAX_ACTIVATION_ELEMENTS } from '../limits.js';
import type { Dataset, RawTensor } from '../task.js';
import { shapesAgree } from '../topology.js';
import { leafLayers, type RunnableModel } from './model.js';
import { type Random, shuffled } from './random.js';

/** Examples of a data set, as the model takes them. */
export interface Examples {
  readonly n: number;
  /** Bytes of one example, for progress. */
  readonly exampleBytes: number;
  /** Examples first … end − 1, [end − first, …] in f32; `dataset_invalid`. The caller disposes it. */
  slice(first: number, end: number): tf.Tensor;
  /** The same of the examples at these places, in this order. */
  pick(places: readonly number[]): tf.Tensor;
}

/** The places of so many of n examples, drawn without repetition and in order; of all if left out or more. */
export function choose(n: number, samples: number | undefined, random: Random): number[] {
  const all = Array.from({ length: n }, (_, place) => place);
  if (samples === undefined || samples >= n) return all;
  return shuffled(n, random)
    .slice(0, samples)
    .sort((a, b) => a - b);
}

/** `dataset_invalid` if the model takes another shape; `model_too_large` if a batch of this size does not fit. */
export function examplesFor(model: RunnableModel, { name, x }: Dataset, batchSize: number): Examples {
  const [n = 0, ...shape] = x.shape;
  if (!shapesAgree(shape, model.inputShape)) {
    const wanted = model.inputShape.map((size) => size ?? 'any');
    const detail = `The data set ${name} has inputs of shape [${shape}]; ${model.name} takes [${wanted}].`;
    throw new EmrError('dataset_invalid', detail, { dataset: name, model: model.name });
  }
  requireRoom(model, Math.min(n, batchSize));
  const size = elementCount(shape);
  const exampleBytes = size * DTYPE_BYTES[x.dtype];
  const pick = (places: readonly number[]) => {
    const values = new Float32Array(places.length * size);
    for (const [i, place] of places.entries()) {
      const example = values.subarray(i * size, (i + 1) * size);
      toFloats(x.bytes.subarray(place * exampleBytes, (place + 1) * exampleBytes), x.dtype, example);
      if (!example.every(Number.isFinite)) throw notFinite(name, place);
    }
    return tf.tensor(values, [places.length, ...shape]);
  };
  return { n, exampleBytes, pick, slice: (first, end) => pick(range(first, end)) };
}

const range = (first: number, end: number) => Array.from({ length: end - first }, (_, i) => first + i);

const notFinite = (dataset: string, index: number) =>
  new EmrError('dataset_invalid', `Example ${index} of ${dataset} has NaN or infinity in x.`, { dataset, index });

/** U8 as it is, without any scale. */
function toFloats(bytes: Uint8Array, dtype: Dtype, target: Float32Array): void {
  if (dtype === 'U8') target.set(bytes);
  else decode(bytes, dtype as FloatDtype, target);
}

/** A topology may multiply its input (upsampling, repetition) beyond any memory. */
function requireRoom({ name, layers }: RunnableModel, batch: number): void {
  for (const layer of leafLayers(layers)) {
    for (const node of layer.inboundNodes) {
      for (const shape of node.outputShapes as (number | null)[][]) {
        const elements = batch * shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 1);
        if (elements <= MAX_ACTIVATION_ELEMENTS) continue;
        const detail = `Layer ${layer.name} of ${name} puts out ${elements} numbers for a batch of ${batch}: take smaller batches.`;
        throw new EmrError('model_too_large', detail, {
          model: name,
          layer: layer.name,
          limit: MAX_ACTIVATION_ELEMENTS,
        });
      }
    }
  }
}

/** The labels as numbers; `label_out_of_range` names the first that is none of the classes. */
export function labelsOf({ name, y }: Dataset, classes: number): Int32Array {
  const values = integersOf(y!);
  const labels = new Int32Array(values.length);
  for (let i = 0; i < labels.length; i++) {
    const value = values[i]!;
    if (value < 0 || value >= classes) {
      const detail = `Label ${i} of ${name} is ${value}; the model has classes 0 … ${classes - 1}.`;
      throw new EmrError('label_out_of_range', detail, { dataset: name, index: i, value: String(value), classes });
    }
    labels[i] = Number(value);
  }
  return labels;
}

function integersOf({ dtype, bytes }: RawTensor): ArrayLike<number | bigint> {
  const views = {
    U8: Uint8Array,
    I8: Int8Array,
    U16: Uint16Array,
    I16: Int16Array,
    U32: Uint32Array,
    I32: Int32Array,
    U64: BigUint64Array,
    I64: BigInt64Array,
  };
  const View = views[dtype as keyof typeof views];
  return new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / DTYPE_BYTES[dtype]);
}
