import { EmrError } from '../errors.js';
import { createFileStore } from '../store/fs.js';
import type { ObjectReader, Store } from '../store/types.js';
import { keys } from './keys.js';
import type { FileLocation } from './records.js';

/** Something whose bytes were recorded: where they are, how many, and which version of them. */
export interface RecordedFile {
  readonly name: string;
  readonly bytes: number;
  readonly version: string;
  readonly location: FileLocation;
}

export interface Sources {
  /**
   * Opens the very file that was recorded; `source_changed` if it is another one now or gone. Files that others own are
   * told apart by their version. Uploaded files are written once, and a copy of the store (a backup, another bucket)
   * gives the same bytes another version: there the size is enough.
   */
  open(file: RecordedFile): Promise<ObjectReader>;
}

/** Opens recorded files wherever they lie: in the service's store or, registered in place, below an allowed root. */
export function createSources(store: Store): Sources {
  const roots = new Map<string, Store>();
  const storeOf = (location: FileLocation): Store => {
    if (location.in === 'store') return store;
    const known = roots.get(location.root) ?? createFileStore({ root: location.root, readOnly: true });
    roots.set(location.root, known);
    return known;
  };
  return {
    async open(file) {
      const reader = await openCurrent(storeOf(file.location), file);
      const { in: place, key } = file.location;
      const same = reader.version === file.version || (place === 'store' && keys.isUploaded(key));
      if (same && reader.bytes === file.bytes) return reader;
      await reader.close();
      throw changed(file);
    },
  };
}

async function openCurrent(store: Store, file: RecordedFile): Promise<ObjectReader> {
  try {
    return await store.openReader(file.location.key);
  } catch (error) {
    if (error instanceof EmrError && error.code === 'not_found') throw changed(file, error);
    throw error;
  }
}

function changed(file: RecordedFile, cause?: unknown): EmrError {
  return new EmrError(
    'source_changed',
    `${file.name} is no longer the file that was registered: register the checkpoint again.`,
    { file: file.name, key: file.location.key },
    { cause },
  );
}
