import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PIXELS, SIDE } from '../../examples/digits/data.js';
import { normal, type Random } from '../../examples/digits/random.js';
import type { Tensors } from '../../examples/digits/tensor-files.js';
import { Linear } from '../../src/models/compute/layers.js';
import type { Architecture } from './architecture.js';

const KERNEL = 3;
const CHANNELS = [16, 32] as const;
const HIDDEN = 128;
/** Sides halve with each convolution, an odd last row and column being left out: 14, 7, 3. */
const FLAT = CHANNELS[1] * Math.floor(SIDE / 4) ** 2;

/**
 * A 3 × 3 convolution, zeros outside, ReLU, then the mean of every 2 × 2. It is written as one product of matrices,
 * since the WebAssembly backend has no gradients of convolutions. Weight: [outputs, inputs · 9], the nine neighbours of
 * a pixel row by row, all inputs of one beside each other.
 */
class Convolution extends tfl.layers.Layer {
  static readonly className = 'Convolution';
  #weight!: tfl.LayerVariable;
  #bias!: tfl.LayerVariable;

  constructor(readonly outputs: number) {
    super({});
  }

  override build(inputShape: tfl.Shape): void {
    const zeros = tfl.initializers.zeros();
    this.#weight = this.addWeight('weight', [this.outputs, KERNEL ** 2 * inputShape.at(-1)!], 'float32', zeros);
    this.#bias = this.addWeight('bias', [this.outputs], 'float32', zeros);
    this.built = true;
  }

  override computeOutputShape([n, height, width]: tfl.Shape): tfl.Shape {
    return [n!, Math.floor(height! / 2), Math.floor(width! / 2), this.outputs];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = [inputs].flat()[0] as tf.Tensor4D;
      const [n, height, width, channels] = x.shape;
      const padded = tf.pad(x, [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ]);
      const neighbours = Array.from({ length: KERNEL ** 2 }, (_, place) =>
        tf.slice(padded, [0, Math.floor(place / KERNEL), place % KERNEL, 0], [n, height, width, channels]),
      );
      const rows = tf.reshape(tf.concat(neighbours, 3), [-1, KERNEL ** 2 * channels]);
      const product = tf.add(tf.matMul(rows, tf.transpose(this.#weight.read())), this.#bias.read());
      const [down, across] = [Math.floor(height / 2), Math.floor(width / 2)];
      const even = tf.slice(tf.reshape(tf.relu(product), [n, height, width, this.outputs]), 0, [
        n,
        2 * down,
        2 * across,
        this.outputs,
      ]);
      return tf.mean(tf.reshape(even, [n, down, 2, across, 2, this.outputs]), [2, 4]);
    });
  }
}

function shapes(classes: number): Map<string, number[]> {
  const [first, second] = CHANNELS;
  return new Map([
    ['convolutions.0.weight', [first, KERNEL ** 2]],
    ['convolutions.0.bias', [first]],
    ['convolutions.1.weight', [second, KERNEL ** 2 * first]],
    ['convolutions.1.bias', [second]],
    ['hidden.weight', [HIDDEN, FLAT]],
    ['hidden.bias', [HIDDEN]],
    ['head.weight', [classes, HIDDEN]],
    ['head.bias', [classes]],
  ]);
}

/** A small convolutional network: two convolutions, one hidden layer, about 42,000 parameters. */
export const cnn: Architecture = {
  initial(classes, random: Random): Tensors {
    return new Map(
      [...shapes(classes)].map(([name, shape]) => {
        const [outputs, inputs] = shape as [number, number?];
        const deviation = Math.sqrt((name.startsWith('head') ? 1 : 2) / (inputs ?? 1));
        return [
          name,
          { shape, data: inputs ? normal(outputs * inputs, deviation, random) : new Float32Array(outputs) },
        ];
      }),
    );
  },

  build(weights) {
    const classes = weights.get('head.bias')!.shape[0]!;
    const input = tfl.input({ shape: [PIXELS] });
    const layers = [
      tfl.layers.reshape({ targetShape: [SIDE, SIDE, 1] }),
      ...CHANNELS.map((outputs) => new Convolution(outputs)),
      tfl.layers.reshape({ targetShape: [FLAT] }),
      new Linear({ units: HIDDEN }),
      tfl.layers.activation({ activation: 'relu' }),
      new Linear({ units: classes }),
    ];
    const output = layers.reduce<tfl.SymbolicTensor>((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
    const model = tfl.model({ inputs: input, outputs: output });
    tf.tidy(() => {
      model.setWeights([...shapes(classes)].map(([name, shape]) => tf.tensor(weights.get(name)!.data, shape)));
    });
    return model;
  },

  describe: (classes, task) => ({
    model_type: 'cnn',
    task,
    input_size: PIXELS,
    channels: CHANNELS,
    hidden_size: HIDDEN,
    num_labels: classes,
    torch_dtype: 'float32',
  }),
};
