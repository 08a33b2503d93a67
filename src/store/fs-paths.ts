import { mkdir, open, realpath, rmdir } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { EmrError } from '../errors.js';
import { errno, isAbsent } from './fs-errors.js';

/** `path` with its symbolic links resolved; `source_not_allowed` if that leads out of `root`, itself a real path. */
export async function realInside(root: string, path: string): Promise<string> {
  return mustBeInside(root, await realpath(path));
}

/** `real` itself; `source_not_allowed` unless it lies in `root`. Both are real paths. */
export function mustBeInside(root: string, real: string): string {
  const way = relative(root, real);
  if (way === '..' || way.startsWith(`..${sep}`)) {
    throw new EmrError('source_not_allowed', 'A symbolic link leads out of the folder that may be read and written.');
  }
  return real;
}

/** A rename or link is durable only when the directory that names the file is. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function nearestInside(root: string, path: string): Promise<void> {
  for (let at = path; at.length >= root.length; at = dirname(at)) {
    try {
      await realInside(root, at);
      return;
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw error;
    }
  }
}

/** The directory of `key`'s file, made durably if it is not there, and never through a link that leads out of `root`. */
export async function makeDirectoryOf(root: string, key: string): Promise<string> {
  const directory = dirname(join(root, key));
  await nearestInside(root, directory); // before mkdir, which would follow such a link
  const first = await mkdir(directory, { recursive: true });
  if (first !== undefined) {
    for (let at = directory; at.length >= first.length; at = dirname(at)) await syncDirectory(dirname(at));
  }
  return directory;
}

/** Removes `directory` and its parents below `root` as far as they are empty. */
export async function removeEmpty(root: string, directory: string): Promise<void> {
  for (let at = directory; at.length > root.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch (error) {
      // Another call may have removed it first; anything else means that it is in use.
      if (!isAbsent(error)) return;
    }
  }
}
