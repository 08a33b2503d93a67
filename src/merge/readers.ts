import type { RecordedFile } from '../catalog/sources.js';
import type { ObjectReader } from '../store/types.js';

/**
 * Open files of one checkpoint at a time, where an open file costs a descriptor: tensors come in order of name, which
 * rarely alternates among many shards, and 30 checkpoints of 30 shards would otherwise reach the usual limit of 1,024.
 */
const MAX_OPEN = 3;

export interface Readers {
  /** Fills `target` from the file of this number; a promise only where reading waits for something. */
  read(file: number, target: Uint8Array, offset: number): Promise<void> | undefined;
  close(): Promise<void>;
}

/** The files of one checkpoint, opened when first read. */
export function createReaders(
  files: readonly RecordedFile[],
  open: (file: RecordedFile) => Promise<ObjectReader>,
): Readers {
  const ready = new Map<number, ObjectReader>();
  const opening = new Map<number, Promise<ObjectReader>>();

  const openFile = async (file: number): Promise<ObjectReader> => {
    const reader = await open(files[file]!);
    ready.set(file, reader);
    opening.delete(file);
    // A local file is read in one go, so none that is open can be in use here; a remote one has no descriptor to give.
    const oldest = ready.entries().next().value!;
    if (ready.size > MAX_OPEN && oldest[1].readSync) {
      ready.delete(oldest[0]);
      await oldest[1].close();
    }
    return reader;
  };

  const read = (reader: ObjectReader, target: Uint8Array, offset: number): Promise<void> | undefined =>
    reader.readSync ? void reader.readSync(target, offset) : reader.read(target, offset);

  return {
    read(file, target, offset) {
      const reader = ready.get(file);
      if (reader) return read(reader, target, offset);
      const opened = opening.get(file) ?? openFile(file);
      opening.set(file, opened);
      return opened.then((fresh) => read(ready.get(file) ?? fresh, target, offset));
    },
    async close() {
      const all = [
        ...ready.values(),
        ...(await Promise.allSettled(opening.values())).flatMap((one) => ('value' in one ? [one.value] : [])),
      ];
      ready.clear();
      await Promise.allSettled(all.map((reader) => reader.close()));
    },
  };
}
