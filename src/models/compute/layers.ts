import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** What `tfl.layers.layer` takes of any layer, as far as it is used here. */
interface LayerConfig extends tf.serialization.ConfigDict {
  readonly name?: string;
}

export interface LinearConfig extends LayerConfig {
  /** Outputs. */
  readonly units: number;
}

export interface LayerNormConfig extends LayerConfig {
  readonly epsilon: number;
}

/**
 * x·wᵀ of x [rows, inputs] and w [outputs, inputs]. Its gradient is written out with copied transposes: the products
 * with transposed operands of the WebAssembly backend are slower by a factor of 5 to 10.
 */
const multiply = tf.customGrad((...args) => {
  const [x, w, save] = args as unknown as [tf.Tensor2D, tf.Tensor2D, (tensors: tf.Tensor[]) => void];
  save([x, w]);
  return {
    value: tf.matMul(x, tf.transpose(w)),
    gradFunc: (dy, saved) => [
      tf.matMul(dy as tf.Tensor2D, saved[1] as tf.Tensor2D),
      tf.matMul(tf.transpose(dy as tf.Tensor2D), saved[0] as tf.Tensor2D),
    ],
  };
});

/** A linear layer over the last axis, with PyTorch's tensors: `weight` [outputs, inputs] and `bias` [outputs]. */
export class Linear extends tfl.layers.Layer {
  static readonly className = 'Linear';
  readonly units: number;
  #weight!: tfl.LayerVariable;
  #bias!: tfl.LayerVariable;

  constructor(config: LinearConfig) {
    super(config);
    this.units = config.units;
  }

  override build(inputShape: tfl.Shape): void {
    const zeros = tfl.initializers.zeros();
    this.#weight = this.addWeight('weight', [this.units, inputShape.at(-1) ?? 0], 'float32', zeros);
    this.#bias = this.addWeight('bias', [this.units], 'float32', zeros);
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape): tfl.Shape {
    return [...inputShape.slice(0, -1), this.units];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = [inputs].flat()[0]!;
      const rows = x.rank === 2 ? x : tf.reshape(x, [-1, x.shape.at(-1)!]);
      const y = tf.add(multiply(rows, this.#weight.read()), this.#bias.read());
      return x.rank === 2 ? y : tf.reshape(y, [...x.shape.slice(0, -1), this.units]);
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), units: this.units };
  }
}

/**
 * Layer norm over the last axis, with PyTorch's tensors: `weight` and `bias`. The one of TensorFlow.js copies mean and
 * variance to the size of its input, which takes twenty times as long as everything else in a small network.
 */
export class LayerNorm extends tfl.layers.Layer {
  static readonly className = 'LayerNorm';
  readonly epsilon: number;
  #weight!: tfl.LayerVariable;
  #bias!: tfl.LayerVariable;

  constructor(config: LayerNormConfig) {
    super(config);
    this.epsilon = config.epsilon;
  }

  override build(inputShape: tfl.Shape): void {
    const size = [inputShape.at(-1) ?? 0];
    this.#weight = this.addWeight('weight', size, 'float32', tfl.initializers.ones());
    this.#bias = this.addWeight('bias', size, 'float32', tfl.initializers.zeros());
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = [inputs].flat()[0]!;
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      const normal = tf.mul(centred, tf.rsqrt(tf.add(variance, this.epsilon)));
      return tf.add(tf.mul(normal, this.#weight.read()), this.#bias.read());
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), epsilon: this.epsilon };
  }
}

// So that a topology may name them, as it names the layers of Keras.
for (const layer of [Linear, LayerNorm]) {
  tf.serialization.registerClass(layer as unknown as tf.serialization.SerializableConstructor<tfl.layers.Layer>);
}
