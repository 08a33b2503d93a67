import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKPOINTS } from '../../examples/digits/places.js';
import { decodeWeights, type Tensors } from '../../examples/digits/tensor-files.js';
import type { Cache } from '../cache.js';
import type { Images } from '../suites/images.js';
import { baseSpec, keyOf, type ModelSpec } from './specs.js';
import { trainModel } from './train-model.js';

/** The folder of a model that is committed: examples/digits is the first seed of digits8. */
function committedName(spec: ModelSpec): string | undefined {
  if (spec.architecture !== 'mlp' || spec.seed !== 1) return undefined;
  if (spec.kind === 'base') return 'base';
  return spec.kind === 'fine-tune' && spec.suite === 'digits8' && spec.head === 'random' ? spec.task : undefined;
}

/** Trained models: the committed ones, those in the cache, and those that have to be trained. */
export function createModels(cache: Cache, images: Images) {
  async function has(spec: ModelSpec): Promise<boolean> {
    return committedName(spec) !== undefined || cache.hasWeights(keyOf(spec));
  }
  async function read(spec: ModelSpec): Promise<Tensors> {
    const committed = committedName(spec);
    if (committed === undefined) return cache.readWeights(keyOf(spec));
    return decodeWeights(await readFile(join(CHECKPOINTS, committed, 'model.safetensors')));
  }
  return {
    has,
    /** @throws Error when it has not been trained yet */
    read,
    async train(spec: ModelSpec): Promise<void> {
      await cache.writeWeights(keyOf(spec), await trainModel(spec, images, () => read(baseSpec(spec))));
    },
  };
}

export type Models = ReturnType<typeof createModels>;
