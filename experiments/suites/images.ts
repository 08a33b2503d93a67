import { access } from 'node:fs/promises';
import { type ImageSet, pick, standardise } from '../../examples/digits/data.js';
import { FASHION_FOLDER, mnistFolder, UCI_FILE } from '../../examples/digits/places.js';
import { type Locations, readTest, readTraining } from '../../examples/digits/sources.js';
import type { Source } from '../../examples/digits/tasks.js';
import type { Span, SuiteTask } from './types.js';

/** What a network is fed: standardised images [n, 196], and their classes [n]. */
export interface Examples {
  readonly inputs: Float32Array;
  readonly labels: Uint8Array;
}

export type Split = 'training' | 'validation' | 'test';

const places = ({ first, end }: Span) => Array.from({ length: end - first }, (_, index) => first + index);

/** Where the data lies; `uciFile` is needed where Debian's python3-sklearn is unpacked rather than installed. */
export const dataLocations = (uciFile = UCI_FILE): Locations => ({
  mnist: mnistFolder(),
  fashion: FASHION_FOLDER,
  uci: uciFile,
});

/** @throws Error that says what to install when data is missing */
export async function checkData(locations: Locations): Promise<void> {
  for (const [path, remedy] of [
    [locations.fashion, "Debian's dataset-fashion-mnist"],
    [locations.uci, "digits.csv.gz of Debian's python3-sklearn (name it with --uci)"],
  ] as const) {
    await access(path).catch(() => {
      throw new Error(`The experiments need ${remedy}: see examples/digits/README.md, "Training it again"`);
    });
  }
}

/** Images of the suites. What has been read is kept; a task's examples are made anew, so that memory stays bounded. */
export function createImages(locations: Locations) {
  const sources = new Map<Source, Promise<ImageSet>>();
  function source(name: Source): Promise<ImageSet> {
    const found = sources.get(name) ?? readTraining(name, locations);
    sources.set(name, found);
    return found;
  }
  async function taskImages(task: SuiteTask, split: Split): Promise<ImageSet | undefined> {
    if (split === 'test') return readTest({ ...task, part: 0 });
    const span = task[split];
    if (!span) return undefined;
    const images = pick(await source(task.source), places(span));
    return { ...images, pixels: task.transform(images.pixels) };
  }
  return {
    /** Raw images of a source, before any transform. */
    raw: async (name: Source, span: Span): Promise<ImageSet> => pick(await source(name), places(span)),
    /** A task's images, standardised; undefined where it has none for validation. */
    async examples(task: SuiteTask, split: Split): Promise<Examples | undefined> {
      const images = await taskImages(task, split);
      return images && { inputs: standardise(images.pixels), labels: images.labels };
    },
  };
}

export type Images = ReturnType<typeof createImages>;
