import type { BigIntStats } from 'node:fs';
import type { ObjectInfo } from './types.js';

/** Size, modification time and inode: any rewrite of a file changes one of them. */
export function fileVersion(stats: BigIntStats): string {
  return `${stats.size}-${stats.mtimeNs}-${stats.ino}`;
}

export function fileInfo(key: string, stats: BigIntStats): ObjectInfo {
  return { key, bytes: Number(stats.size), version: fileVersion(stats), modified: stats.mtime };
}
