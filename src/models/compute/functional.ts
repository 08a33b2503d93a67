import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Files list layers in the order of their depth; only calls of shared layers take more than one pass. */
const MAX_PASSES = 1_000;

/**
 * A model of layers that are called on one another. TensorFlow.js passes over them until each call has its inputs:
 * without end where layers wait for each other, or for one that is not there.
 */
class Functional extends tfl.LayersModel {
  static override readonly className: string = 'Model';

  static override fromConfig<T extends tf.serialization.Serializable>(
    cls: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
    ...rest: [tf.serialization.ConfigDict?, boolean?]
  ): T {
    if (!Array.isArray(config.layers)) return tfl.LayersModel.fromConfig(cls, config, ...rest);
    const layers = passesOver(config.layers) as tf.serialization.ConfigDictArray;
    return tfl.LayersModel.fromConfig(cls, { ...config, layers }, ...rest);
  }
}

/** As newer files name it. */
class Functional3 extends Functional {
  static override readonly className = 'Functional';
}

for (const model of [Functional, Functional3]) {
  tf.serialization.registerClass(model as unknown as tf.serialization.SerializableConstructor<tfl.LayersModel>);
}

function passesOver(layers: readonly unknown[]): Iterable<unknown> {
  let left = MAX_PASSES;
  return {
    [Symbol.iterator]() {
      left -= 1;
      if (left < 0) throw new Error('Layers wait for the output of each other, or of one that is not there.');
      return layers[Symbol.iterator]();
    },
  };
}
