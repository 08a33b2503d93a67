import { loadEngine } from '../../src/kernels/engine.js';
import { ENGINE_NAMES } from '../../src/kernels/types.js';
import { testEngine } from './kernels.js';

for (const name of ENGINE_NAMES) testEngine(name, () => loadEngine(name));
