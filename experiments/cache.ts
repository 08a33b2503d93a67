import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeWeights, type Tensors, writeWeights } from '../examples/digits/tensor-files.js';

/** What decides a file: equal keys mean equal contents. */
export interface Key {
  /** Begins the file's name, for readers. */
  readonly label: string;
  /** Everything that its content follows from. */
  readonly from: unknown;
}

const nameOf = ({ label, from }: Key) =>
  `${label}-${createHash('sha256').update(JSON.stringify(from)).digest('hex').slice(0, 12)}`;

/** Files that a run makes once: trained weights and results. Each appears whole or not at all. */
export function createCache(folder: string) {
  const path = (kind: string, key: Key, ending: string) => join(folder, kind, nameOf(key) + ending);
  async function write(kind: string, target: string, save: (path: string) => Promise<void>): Promise<void> {
    await mkdir(join(folder, kind), { recursive: true });
    const partial = `${target}.${process.pid}`;
    await save(partial);
    await rename(partial, target);
  }
  const exists = (file: string) =>
    access(file).then(
      () => true,
      () => false,
    );
  return {
    hasWeights: (key: Key) => exists(path('weights', key, '.safetensors')),

    async readWeights(key: Key): Promise<Tensors> {
      return decodeWeights(await readFile(path('weights', key, '.safetensors')));
    },

    writeWeights: (key: Key, weights: Tensors) =>
      write('weights', path('weights', key, '.safetensors'), (file) => writeWeights(file, weights)),

    /** The result under `key`, computed if it is not there yet. */
    async result<T>(key: Key, compute: () => Promise<T>): Promise<T> {
      const file = path('results', key, '.json');
      if (await exists(file)) return JSON.parse(await readFile(file, 'utf8')) as T;
      const value = await compute();
      await write('results', file, (partial) => writeFile(partial, `${JSON.stringify(value)}\n`));
      return value;
    },
  };
}

export type Cache = ReturnType<typeof createCache>;
