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
    try {
      return tfl.LayersModel.fromConfig(cls, { ...config, layers }, ...rest);
    } catch (error) {
      const isUnexplained = error instanceof TypeError || (error instanceof Error && error.message === '');
      throw isUnexplained ? unconnected(config.layers) : error;
    }
  }
}

/** As newer files name it. */
class Functional3 extends Functional {
  static override readonly className = 'Functional';
}

for (const model of [Functional, Functional3]) {
  tf.serialization.registerClass(model as unknown as tf.serialization.SerializableConstructor<tfl.LayersModel>);
}

/** Where TensorFlow.js asserts without a message, or reads of undefined: an output that no call has made. */
function unconnected(layers: readonly unknown[]): Error {
  // TensorFlow.js has changed the spelling of the keys by now.
  const named = layers as readonly { name?: unknown; className?: unknown; inboundNodes?: unknown }[];
  const alone = named.filter(({ className, inboundNodes }) => {
    return className !== 'InputLayer' && !(Array.isArray(inboundNodes) && inboundNodes.length > 0);
  });
  const names = alone.map(({ name }) => String(name)).join(', ');
  return new Error(names === '' ? 'An input or output is of a call that there is not.' : `No inbound_nodes: ${names}.`);
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
