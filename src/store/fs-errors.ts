import { EmrError } from '../errors.js';

export function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The path or a part of it is not there, or is a folder where a file should be or the other way round. */
export function isAbsent(error: unknown): boolean {
  const code = errno(error);
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
}

/** The result of `work`, or undefined if what it looks for is not there (any more). */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** An error of the file system as a coded one. The path stays in `cause`, which is for the log alone. */
export function fsError(error: unknown, key: string): EmrError {
  if (error instanceof EmrError) return error;
  const options = { cause: error };
  switch (errno(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new EmrError(
        'disk_full',
        'The disk of the store is full; free some room and try again.',
        { key },
        options,
      );
    case 'ENOENT':
      return new EmrError('not_found', 'The store has no such object.', { key }, options);
    case 'ENOTDIR':
    case 'EISDIR':
    case 'EEXIST':
      return new EmrError('invalid_name', 'An object and a folder would have the same name.', { key }, options);
    case 'ENAMETOOLONG':
    case 'EILSEQ':
      return new EmrError('invalid_name', 'The file system cannot hold this name.', { key }, options);
    default:
      return new EmrError('store_unavailable', 'The file system of the store failed.', { key }, options);
  }
}

/** Runs `work` with every error coded. */
export async function coded<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fsError(error, key);
  }
}
