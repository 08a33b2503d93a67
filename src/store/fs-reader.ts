import { fstatSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { EmrError } from '../errors.js';
import { fsError } from './fs-errors.js';
import { fileVersion } from './fs-info.js';
import type { ObjectReader } from './types.js';

export function sourceChanged(key: string): EmrError {
  return new EmrError('source_changed', 'The file changed while it was read.', { key });
}

/** Reads of an open file, each followed by a look whether it is still the file that was opened. */
export async function fileReader(handle: FileHandle, key: string): Promise<ObjectReader> {
  const opened = fstatSync(handle.fd, { bigint: true }); // synchronous: see `unchanged`
  const bytes = Number(opened.size);
  const version = fileVersion(opened);
  let closed = false;

  const within = (target: Uint8Array, offset: number) => {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + target.byteLength > bytes) {
      throw new EmrError('invalid_range', 'The range lies beyond the end of the object.', { key, offset, bytes });
    }
  };
  // After the read, so that what was read is covered. No links are left once the name has gone to another file or to
  // none. Synchronous: the inode of an open file is in memory, a trip to the thread pool would cost more.
  const unchanged = () => {
    const now = fstatSync(handle.fd, { bigint: true });
    if (now.nlink === 0n || fileVersion(now) !== version) throw sourceChanged(key);
  };

  return {
    bytes,
    version,
    async read(target, offset) {
      within(target, offset);
      try {
        for (let done = 0; done < target.byteLength; ) {
          const { bytesRead } = await handle.read(target, done, target.byteLength - done, offset + done);
          if (bytesRead === 0) throw sourceChanged(key);
          done += bytesRead;
        }
        unchanged();
      } catch (error) {
        throw fsError(error, key);
      }
    },
    readSync(target, offset) {
      within(target, offset);
      try {
        for (let done = 0; done < target.byteLength; ) {
          const bytesRead = readSync(handle.fd, target, done, target.byteLength - done, offset + done);
          if (bytesRead === 0) throw sourceChanged(key);
          done += bytesRead;
        }
        unchanged();
      } catch (error) {
        throw fsError(error, key);
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      await handle.close();
    },
  };
}
