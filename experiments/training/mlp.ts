import { buildModel, describeModel, describeTopology } from '../../examples/digits/model.js';
import { randomWeights } from '../../examples/digits/trainer.js';
import type { Architecture } from './architecture.js';

/** The network of examples/digits. */
export const mlp: Architecture = {
  initial: randomWeights,
  build: buildModel,
  describe: describeModel,
  topology: (weights) => describeTopology(weights.get('head.bias')!.shape[0]!),
};
