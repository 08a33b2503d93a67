import { closeSync, constants, fstatSync, openSync, readSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { EmrError } from '../errors.js';
import { fileVersion } from './fs-info.js';
import { mustBeInside } from './fs-paths.js';
import { sourceChanged } from './fs-reader.js';
import { tooLarge } from './small.js';

/** Of `statfs(2)`: ext2 to ext4, XFS, Btrfs, F2FS, ZFS, tmpfs, overlayfs. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630]);

/** Whether `root` lies on a disk of this machine. What is not known may be at the other end of a network. */
export function isLocal(root: string): boolean {
  return LOCAL.has(statfsSync(root).type);
}

/** Whether there is nothing at `key`, looked at on this thread. What cannot be looked at (no permission, a bad disk) throws. */
export function isAbsentHere(root: string, key: string): boolean {
  return statSync(join(root, key), { throwIfNoEntry: false }) === undefined;
}

/** Some milliseconds of reading. */
const READS_A_TURN = 64;
let readsThisTurn = 0;

/** Before a read at once: whoever reads thousands of files lets the event loop turn in between. */
export async function turnOfReading(): Promise<void> {
  // All that wait come back in the same turn: most of them wait again.
  while (readsThisTurn >= READS_A_TURN) await turn();
  if (readsThisTurn === 0) {
    setImmediate(() => {
      readsThisTurn = 0;
    });
  }
  readsThisTurn += 1;
}

/**
 * Reads a small file at once, on this thread; undefined if there is none. On a local disk that takes some 50 µs, most of it for links on the way.
 * Node's pool has four threads for all file work: there the same read waits behind every sync and removal of the process,
 * 100 ms and more where uploads end.
 */
export function readSmallHere(root: string, key: string, limit: number): Buffer | undefined {
  // Most facts about a merge that runs are not there yet, and an error takes ten times as long.
  if (isAbsentHere(root, key)) return undefined;
  const path = mustBeInside(root, realpathSync.native(join(root, key)));
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const opened = fstatSync(fd, { bigint: true });
    if (!opened.isFile()) throw new EmrError('not_found', 'The store has no such object.', { key });
    const size = Number(opened.size);
    if (size > limit) throw tooLarge(key, size, limit);
    const bytes = Buffer.alloc(size);
    const read = readSync(fd, bytes, 0, size, 0);
    if (read < size || fileVersion(fstatSync(fd, { bigint: true })) !== fileVersion(opened)) throw sourceChanged(key);
    return bytes;
  } finally {
    closeSync(fd);
  }
}
