import { readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { coded, ifThere } from './fs-errors.js';
import { removeEmpty } from './fs-paths.js';
import { isOrphan } from './fs-temp.js';
import { TEMP_PREFIX } from './keys.js';

/** No upload or merge leaves a file untouched for so long; for files of other machines this is all that can be known. */
const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * Removes the unfinished files of processes of this machine that have ended, and those that nobody has written to for
 * a day; returns how many. For the start of a server.
 */
export async function removeFileLeftovers(root: string): Promise<number> {
  let removed = 0;
  const walk = async (real: string, directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await ifThere(walk(real, path));
      if (!entry.isFile() || !entry.name.startsWith(TEMP_PREFIX)) continue;
      const stats = await ifThere(stat(path));
      if (!stats || !(isOrphan(entry.name) || Date.now() - stats.mtimeMs > LEFTOVER_AGE_MS)) continue;
      await rm(path, { force: true });
      await removeEmpty(real, directory);
      removed++;
    }
  };
  await coded('', async () => {
    const real = await ifThere(realpath(root));
    if (real !== undefined) await ifThere(walk(real, real));
  });
  return removed;
}
