import { buildModel, describeModel } from '../../examples/digits/model.js';
import { randomWeights } from '../../examples/digits/trainer.js';
import type { Architecture } from './architecture.js';
import { cnn } from './cnn.js';
import type { ArchitectureName } from './specs.js';

/** The network of examples/digits. */
const mlp: Architecture = {
  initial: randomWeights,
  build: buildModel,
  describe: describeModel,
};

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = { mlp, cnn };
