import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { EmrError } from '../errors.js';
import { errno, isAbsent } from './fs-errors.js';
import { makeDirectoryOf, removeEmpty, syncDirectory } from './fs-paths.js';
import { TEMP_PREFIX } from './keys.js';

/**
 * A deletion may take an empty directory away between its making and the first file in it, or while it is made (which
 * Node's recursive mkdir then reports as ENOENT, ENOTDIR or EEXIST): it is made again.
 */
const DIRECTORY_TRIES = 16;
const VANISHED = new Set(['ENOENT', 'ENOTDIR', 'EEXIST']);

/** A file being written, beside its target and invisible to listings. */
export interface TempFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly target: string;
  /** Makes the content durable, then moves it to the target, replacing what was there. Closes the file. */
  replace(): Promise<void>;
  /** The same only if there is no target: of racing calls one gets true. */
  create(): Promise<boolean>;
  /** Makes the content so far durable, and gives the file a second name. */
  save(key: string): Promise<void>;
  /** Closes and removes the file; safe at any time. */
  discard(): Promise<void>;
}

/** Names the machine and process, so that a later one can tell which files nobody will finish. */
const hostTag = () => createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
const tempName = () => `${TEMP_PREFIX}${hostTag()}-${process.pid}-${randomBytes(8).toString('hex')}`;

/** True if `name` is a temporary file whose process ran on this machine and has ended. */
export function isOrphan(name: string): boolean {
  const [host, pid] = name.slice(TEMP_PREFIX.length).split('-');
  if (!name.startsWith(TEMP_PREFIX) || host !== hostTag() || !/^\d+$/.test(pid ?? '')) return false;
  if (Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0); // signal 0 asks only whether the process is there
    return false;
  } catch (error) {
    return errno(error) === 'ESRCH';
  }
}

async function openNew(root: string, key: string): Promise<{ handle: FileHandle; path: string }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const path = join(await makeDirectoryOf(root, key), tempName());
      return { handle: await open(path, 'wx'), path };
    } catch (error) {
      if (!VANISHED.has(errno(error) ?? '') || attempt === DIRECTORY_TRIES) throw error;
    }
  }
}

/** `rename` and `link` fail with ENOENT only if the temporary file was deleted: its prefix was. */
async function published<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    throw new EmrError('upload_incomplete', 'The object was deleted while it was written.', {}, { cause: error });
  }
}

export async function openTemp(root: string, key: string): Promise<TempFile> {
  const { handle, path } = await openNew(root, key);
  const target = join(dirname(path), basename(key));
  let isOpen = true;
  const close = async () => {
    if (!isOpen) return;
    isOpen = false;
    await handle.close();
  };
  const remove = async () => {
    await unlink(path).catch((error: unknown) => {
      if (!isAbsent(error)) throw error;
    });
  };
  return {
    handle,
    path,
    target,
    async replace() {
      await handle.sync();
      await close();
      await published(rename(path, target));
      await syncDirectory(dirname(target));
    },
    async create() {
      await handle.sync();
      await close();
      const won = await published(link(path, target)).then(
        () => true,
        (error: unknown) => {
          if (errno(error) === 'EEXIST') return false;
          throw error;
        },
      );
      await remove();
      await syncDirectory(dirname(target));
      return won;
    },
    async save(saved) {
      await handle.datasync();
      const name = join(await makeDirectoryOf(root, saved), basename(saved));
      await link(path, name).catch((error: unknown) => {
        if (errno(error) !== 'EEXIST') throw error; // it has that name already
      });
      await syncDirectory(dirname(name));
    },
    async discard() {
      await close();
      await remove();
      await removeEmpty(root, dirname(path));
    },
  };
}
