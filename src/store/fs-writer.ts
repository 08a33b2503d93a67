import type { FileHandle } from 'node:fs/promises';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EmrError } from '../errors.js';
import { coded, fsError } from './fs-errors.js';
import { fileInfo } from './fs-info.js';
import { openTemp, type TempFile } from './fs-temp.js';
import { incomplete } from './incomplete.js';
import { checkKey } from './keys.js';
import type { ObjectInfo, ObjectWriter } from './types.js';

/** One write may take less than it was given, a nearly full disk for one. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, position + done);
    done += bytesWritten;
  }
}

/** Gives the file its size, which reserves nothing: so that a lack of room shows now, the free space is asked too. */
async function giveSize(temp: TempFile, bytes: number): Promise<void> {
  const { bavail, bsize, blocks } = await statfs(dirname(temp.path));
  // Some file systems without a size of their own report no blocks at all.
  if (blocks > 0 && bytes > bavail * bsize) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
  await temp.handle.truncate(bytes);
}

/** So much goes to the page cache before the disk is told to begin with it. */
const SYNC_EVERY_BYTES = 32 * 2 ** 20;

/**
 * Brings a large file to the disk while it is still written, so that its end does not wait for all of it. One sync at a
 * time; an error of one is that of the file.
 */
function earlySync(handle: FileHandle) {
  let unsynced = 0;
  let running: Promise<void> | undefined;
  let failure: unknown;
  return {
    wrote(bytes: number): void {
      unsynced += bytes;
      if (unsynced < SYNC_EVERY_BYTES || running !== undefined) return;
      unsynced = 0;
      running = handle
        .datasync()
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => {
          running = undefined;
        });
    },
    /** Before the file is closed. */
    async settled(): Promise<void> {
      await running;
      if (failure !== undefined) throw failure;
    },
  };
}

/** The store's `openWriter` for a folder; `root` is a real path. */
export async function fileWriter(root: string, key: string, bytes: number): Promise<ObjectWriter> {
  const temp = await openTemp(root, key);
  try {
    await giveSize(temp, bytes);
  } catch (error) {
    await temp.discard();
    throw fsError(error, key);
  }
  const early = earlySync(temp.handle);
  let written = 0;
  let byPath = false;
  let ended = false;
  const notEnded = () => {
    if (ended) throw new EmrError('internal', 'The object was finished or aborted before.', { key });
  };

  const finish = async (): Promise<ObjectInfo> => {
    await early.settled();
    const stats = await temp.handle.stat({ bigint: true });
    // What threads write to the path is theirs to count; the file's size must still be the announced one.
    const held = byPath ? Number(stats.size) : written;
    if (held !== bytes) throw incomplete(key, bytes, held);
    await temp.replace();
    return fileInfo(key, stats);
  };

  return {
    get path() {
      byPath = true;
      return temp.path;
    },
    async write(chunk) {
      notEnded();
      const end = written + chunk.byteLength;
      if (end > bytes) throw incomplete(key, bytes, end);
      await coded(key, () => writeAll(temp.handle, chunk, written));
      written = end;
      early.wrote(chunk.byteLength);
    },
    async save(saved) {
      notEnded();
      const front = { key: checkKey(saved), bytes: written };
      await coded(saved, () => temp.save(saved));
      return [front];
    },
    async finish() {
      notEnded();
      ended = true;
      try {
        return await finish();
      } catch (error) {
        await temp.discard();
        throw fsError(error, key);
      }
    },
    async abort() {
      if (ended) return;
      ended = true;
      await early.settled().catch(() => {});
      await coded(key, () => temp.discard());
    },
  };
}
