import { constants, fstatSync } from 'node:fs';
import { access, mkdir, open, readdir, realpath, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EmrError } from '../errors.js';
import { coded, fsError, isAbsent } from './fs-errors.js';
import { fileInfo } from './fs-info.js';
import { listFiles } from './fs-list.js';
import { realInside, removeEmpty, syncDirectory } from './fs-paths.js';
import { fileReader } from './fs-reader.js';
import { isAbsentHere, isLocal, readSmallHere, turnOfReading } from './fs-small.js';
import { openTemp } from './fs-temp.js';
import { fileWriter, writeAll } from './fs-writer.js';
import { checkDeletePrefix, checkKept, checkKey, checkPrefix } from './keys.js';
import { SMALL_OBJECT_BYTES, tooLarge } from './small.js';
import { until } from './source.js';
import type { ObjectInfo, ObjectReader, Store } from './types.js';

/** Large enough that system calls do not count, small enough to stay in the processor's cache. */
const READ_BYTES = 1 << 20;

/** Of a small file that changes each time: after so many somebody writes it all the time. */
const SMALL_READS = 10;

export interface FileStoreOptions {
  /** The folder; made at the first write if it is not there. */
  readonly root: string;
  /** For files that others own, registered where they lie: everything that writes is `source_not_allowed`. */
  readonly readOnly?: boolean;
  /** Whether small files are read on this thread or in the pool of threads; unless it says so, as is best for the disk. */
  readonly smallReads?: 'here' | 'pool';
}

/**
 * Objects as files below a folder. A file is written beside its target under a temporary name, synced, and only then
 * named; links that lead out of the folder are not followed.
 */
export function createFileStore({ root: given, readOnly = false, smallReads }: FileStoreOptions): Store {
  const root = resolve(given);
  const mode = readOnly ? constants.R_OK : constants.R_OK | constants.W_OK;

  let isHere: boolean | undefined;
  /** Whether to look at once what is there: on a disk of this machine. */
  const looksHere = (real: string) => {
    isHere ??= smallReads === undefined ? isLocal(real) : smallReads === 'here';
    return isHere;
  };
  let resolved: string | undefined;
  /** Looked for until it is there, and then kept: each look is a trip to the pool of threads, for every fact. */
  const realRoot = async () => {
    resolved ??= await realpath(root);
    return resolved;
  };

  const forWriting = async (key: string) => {
    if (readOnly) throw new EmrError('source_not_allowed', 'This store is only read.', { key });
    await mkdir(root, { recursive: true });
    return realRoot();
  };
  const pathOf = async (key: string) => realInside(await realRoot(), join(root, key));

  const openReader = async (key: string): Promise<ObjectReader> => {
    // The path has no link left; O_NOFOLLOW refuses one that is put there meanwhile, O_NONBLOCK does not wait on a pipe.
    const handle = await open(await pathOf(key), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (!fstatSync(handle.fd).isFile()) throw new EmrError('not_found', 'The store has no such object.', { key });
      return await fileReader(handle, key);
    } catch (error) {
      await handle.close();
      throw error;
    }
  };

  const readSmall = async (key: string, limit: number): Promise<Buffer> => {
    const reader = await openReader(key);
    try {
      if (reader.bytes > limit) throw tooLarge(key, reader.bytes, limit);
      const bytes = Buffer.alloc(reader.bytes);
      await reader.read(bytes, 0);
      return bytes;
    } finally {
      reader.close().catch(() => {}); // of a file that was only read: nobody need wait for it
    }
  };

  const put = async (key: string, source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> => {
    const temp = await coded(key, async () => openTemp(await forWriting(key), key));
    try {
      let written = 0;
      for await (const chunk of source) {
        await coded(key, () => writeAll(temp.handle, chunk, written));
        written += chunk.byteLength;
      }
      return await coded(key, async () => {
        const stats = await temp.handle.stat({ bigint: true });
        await temp.replace();
        return fileInfo(key, stats);
      });
    } catch (error) {
      await temp.discard();
      throw error; // the source's own error as it is
    }
  };

  return {
    config: { kind: 'file', root },
    readBytes: READ_BYTES,

    async stat(key) {
      checkKey(key);
      try {
        const stats = await stat(await pathOf(key), { bigint: true });
        return stats.isFile() ? fileInfo(key, stats) : undefined;
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw fsError(error, key);
      }
    },

    async openReader(key) {
      checkKey(key);
      try {
        return await openReader(key);
      } catch (error) {
        if (!isAbsent(error)) throw fsError(error, key);
        throw new EmrError('not_found', 'The store has no such object.', { key }, { cause: error });
      }
    },

    async readSmall(key, limit = SMALL_OBJECT_BYTES) {
      checkKey(key);
      for (let left = SMALL_READS; ; left -= 1) {
        try {
          const real = await realRoot();
          if (!looksHere(real)) return await readSmall(key, limit);
          await turnOfReading();
          return readSmallHere(real, key, limit);
        } catch (error) {
          const code = error instanceof EmrError ? error.code : undefined;
          if (isAbsent(error) || code === 'not_found') return undefined;
          // Replaced or deleted in this moment: the next look finds the other object, or none.
          if (code !== 'source_changed' || left === 1) throw fsError(error, key);
        }
      }
    },

    async create(key, bytes) {
      checkKey(key);
      return coded(key, async () => {
        const temp = await openTemp(await forWriting(key), key);
        try {
          await writeAll(temp.handle, bytes, 0);
          return await temp.create();
        } catch (error) {
          await temp.discard();
          throw error;
        }
      });
    },

    async canSave() {
      return !readOnly;
    },

    async openWriter(key, bytes) {
      checkKey(key);
      return coded(key, async () => fileWriter(await forWriting(key), key, bytes));
    },

    async put(key, source, options = {}) {
      return put(checkKey(key), until(source, options.signal));
    },

    async *list(prefix, options = {}) {
      checkPrefix(prefix);
      try {
        const real = await realRoot();
        // Most that are asked for: the webhooks of a merge that has none.
        if (looksHere(real) && isAbsentHere(real, prefix)) return;
        yield* listFiles(real, prefix, options.delimiter ?? false);
      } catch (error) {
        if (!isAbsent(error)) throw fsError(error, prefix);
      }
    },

    async delete(key) {
      checkKey(key);
      await coded(key, async () => {
        const real = await forWriting(key);
        try {
          const directory = await realInside(real, dirname(join(real, key)));
          await unlink(join(real, key));
          await syncDirectory(directory);
        } catch (error) {
          if (!isAbsent(error)) throw error;
        }
        await removeEmpty(real, dirname(join(real, key)));
      });
    },

    async deletePrefix(prefix, { keep } = {}) {
      checkDeletePrefix(prefix);
      const kept = keep && checkKept(prefix, keep).slice(prefix.length, -1);
      await coded(prefix, async () => {
        const real = await forWriting(prefix);
        const directory = join(real, prefix.slice(0, -1));
        try {
          // Not a file of that name, which is an object outside the prefix.
          if (!(await stat(await realInside(real, directory))).isDirectory()) return;
          const gone = kept ? (await readdir(directory)).filter((name) => name !== kept) : [''];
          // Writers may still add files: the directory is then not empty at first.
          for (const name of gone) {
            await rm(join(directory, name), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
          }
          if (kept) await removeEmpty(real, directory);
          await syncDirectory(dirname(directory));
        } catch (error) {
          if (!isAbsent(error)) throw error;
        }
        await removeEmpty(real, dirname(directory));
      });
    },

    async check() {
      try {
        if (!readOnly) await mkdir(root, { recursive: true });
        await access(root, mode | constants.X_OK);
      } catch (cause) {
        throw new EmrError('store_unavailable', 'The folder of the store cannot be used.', {}, { cause });
      }
    },

    async close() {},
  };
}
