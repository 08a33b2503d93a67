import type { Architecture } from './architecture.js';
import { cnn } from './cnn.js';
import { mlp } from './mlp.js';
import type { ArchitectureName } from './specs.js';

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = { mlp, cnn };
