import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

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

/** A linear layer with PyTorch's weight layout, [outputs, inputs], which is that of the checkpoints. */
export class Linear extends tfl.layers.Layer {
  static readonly className = 'Linear';
  #weight!: tfl.LayerVariable;
  #bias!: tfl.LayerVariable;

  constructor(readonly outputs: number) {
    super({});
  }

  override build(inputShape: tfl.Shape): void {
    const zeros = tfl.initializers.zeros();
    this.#weight = this.addWeight('weight', [this.outputs, inputShape.at(-1) ?? 0], 'float32', zeros);
    this.#bias = this.addWeight('bias', [this.outputs], 'float32', zeros);
    this.built = true;
  }

  override computeOutputShape(inputShape: tfl.Shape): tfl.Shape {
    return [...inputShape.slice(0, -1), this.outputs];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.add(multiply([inputs].flat()[0]!, this.#weight.read()), this.#bias.read()));
  }
}

/**
 * Layer norm over the last axis. The one of TensorFlow.js copies mean and variance to the size of its input, which
 * takes twenty times as long as everything else in this network.
 */
export class LayerNorm extends tfl.layers.Layer {
  static readonly className = 'LayerNorm';
  #weight!: tfl.LayerVariable;
  #bias!: tfl.LayerVariable;

  constructor(readonly epsilon: number) {
    super({});
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
}
