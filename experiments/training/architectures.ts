import type { Architecture } from './architecture.js';
import { mlp } from './mlp.js';
import type { ArchitectureName } from './specs.js';
import { vit } from './vit.js';

export const architectures: Readonly<Record<ArchitectureName, Architecture>> = { mlp, vit };
