import type * as tfl from '@tensorflow/tfjs-layers';
import type { Random } from '../../examples/digits/random.js';
import type { Tensors } from '../../examples/digits/tensor-files.js';

/** A network from [n, 196] to logits [n, classes] whose last layer has the tensors `head.weight` and `head.bias`. */
export interface Architecture {
  /** Weights to start from. */
  initial(classes: number, random: Random): Tensors;
  /** The network with these weights, in the order of those of `initial`. Dispose it after use. */
  build(weights: Tensors): tfl.LayersModel;
  /** What config.json beside a checkpoint says. */
  describe(classes: number, task: string): object;
  /** model.json of a checkpoint with these weights, where the service can run it. */
  topology?(weights: Tensors): object;
}
