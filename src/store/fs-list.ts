import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EmrError } from '../errors.js';
import { ifThere } from './fs-errors.js';
import { fileInfo } from './fs-info.js';
import { realInside } from './fs-paths.js';
import { compareKeys, isKey } from './keys.js';
import type { ListPage, ObjectInfo } from './types.js';

/** S3's page, so that both stores hold as much at a time. */
const PAGE = 1000;

/** A link to nothing or out of the root is no object. */
async function unlessOutside<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await ifThere(work);
  } catch (error) {
    if (error instanceof EmrError && error.code === 'source_not_allowed') return undefined;
    throw error;
  }
}

interface Entry {
  readonly key: string;
  readonly directory: boolean;
}

/** The entries of one directory in the byte order of the keys in it: a directory sorts as its name with a slash. */
async function entriesOf(directory: string, prefix: string): Promise<Entry[]> {
  const found: Dirent[] = (await ifThere(readdir(directory, { withFileTypes: true }))) ?? [];
  return found
    .filter((entry) => isKey(prefix + entry.name))
    .map((entry) => ({ key: prefix + entry.name + (entry.isDirectory() ? '/' : ''), directory: entry.isDirectory() }))
    .sort((a, b) => compareKeys(a.key, b.key));
}

async function infoOf(root: string, key: string): Promise<ObjectInfo | undefined> {
  const stats = await unlessOutside(realInside(root, join(root, key)).then((path) => stat(path, { bigint: true })));
  return stats?.isFile() ? fileInfo(key, stats) : undefined;
}

/** Links to directories are not followed: they could lead in a circle. */
async function* walk(root: string, prefix: string): AsyncGenerator<ObjectInfo> {
  for (const entry of await entriesOf(join(root, prefix), prefix)) {
    if (entry.directory) {
      yield* walk(root, entry.key);
      continue;
    }
    const info = await infoOf(root, entry.key);
    if (info) yield info;
  }
}

/** A directory without objects (only unfinished files, say) is none of the store's prefixes. */
async function holdsObjects(root: string, prefix: string): Promise<boolean> {
  const first = await walk(root, prefix).next();
  return first.done !== true;
}

async function* oneLevel(root: string, prefix: string): AsyncGenerator<ObjectInfo | string> {
  for (const entry of await entriesOf(join(root, prefix), prefix)) {
    if (entry.directory) {
      if (await holdsObjects(root, entry.key)) yield entry.key;
      continue;
    }
    const info = await infoOf(root, entry.key);
    if (info) yield info;
  }
}

/** Pages of the objects below `prefix` in `root`, a real path. */
export async function* listFiles(root: string, prefix: string, delimiter: boolean): AsyncGenerator<ListPage> {
  if (prefix !== '' && !(await unlessOutside(realInside(root, join(root, prefix))))) return;
  let page: { objects: ObjectInfo[]; prefixes: string[] } = { objects: [], prefixes: [] };
  for await (const item of delimiter ? oneLevel(root, prefix) : walk(root, prefix)) {
    if (typeof item === 'string') page.prefixes.push(item);
    else page.objects.push(item);
    if (page.objects.length + page.prefixes.length < PAGE) continue;
    yield page;
    page = { objects: [], prefixes: [] };
  }
  if (page.objects.length + page.prefixes.length > 0) yield page;
}
