import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part } from './parts/types.js';

interface Stored {
  readonly version: number;
  readonly complete: boolean;
  readonly result: unknown;
}

/** The newest result of every part and seed: what the document is written from. */
export function createStoredResults(cacheFolder: string) {
  const folder = join(cacheFolder, 'parts');
  const fileOf = (part: Part, seed: number) => join(folder, `${part.name}-${seed}.json`);
  async function read(part: Part, seed: number): Promise<Stored | undefined> {
    const text = await readFile(fileOf(part, seed), 'utf8').catch(() => undefined);
    const found = text === undefined ? undefined : (JSON.parse(text) as Stored);
    return found?.version === part.version ? found : undefined;
  }
  return {
    read,
    /** Of all seeds that there are, in order. */
    async readAll(part: Part): Promise<Stored[]> {
      const files = await readdir(folder).catch(() => []);
      const seeds = files.flatMap((file) => {
        const match = /^(.+)-(\d+)\.json$/.exec(file);
        return match?.[1] === part.name ? Number(match[2]) : [];
      });
      const found = await Promise.all(seeds.sort((a, b) => a - b).map((seed) => read(part, seed)));
      return found.filter((stored) => stored !== undefined);
    },
    async write(part: Part, seed: number, result: unknown): Promise<void> {
      await mkdir(folder, { recursive: true });
      const stored: Stored = { version: part.version, complete: part.complete?.(result) ?? true, result };
      await writeFile(fileOf(part, seed), `${JSON.stringify(stored)}\n`);
    },
  };
}

export type StoredResults = ReturnType<typeof createStoredResults>;
