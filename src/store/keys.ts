import { EmrError } from '../errors.js';

/** S3's limit on a key, in UTF-8 bytes; the file store keeps it so that a store can be moved. */
const MAX_KEY_BYTES = 1024;
/** Longest file name of the usual file systems (NAME_MAX), in UTF-8 bytes. */
const MAX_SEGMENT_BYTES = 255;

/** Begins the names of unfinished files, which lie beside their target; no object's name may begin so. */
export const TEMP_PREFIX = '.tmp-';

// Control characters cannot stand in S3's XML listings, lone surrogates not in UTF-8, a backslash divides on Windows.
const FORBIDDEN = /[\p{Cc}\p{Cs}\\]/u;

function isSegment(segment: string): boolean {
  if (segment === '' || segment === '.' || segment === '..' || segment.startsWith(TEMP_PREFIX)) return false;
  return Buffer.byteLength(segment) <= MAX_SEGMENT_BYTES;
}

export function isKey(key: string): boolean {
  return Buffer.byteLength(key) <= MAX_KEY_BYTES && !FORBIDDEN.test(key) && key.split('/').every(isSegment);
}

/** `key` itself if it may name an object; `invalid_name` if not, traversal among the reasons. */
export function checkKey(key: string): string {
  if (isKey(key)) return key;
  throw new EmrError(
    'invalid_name',
    'A key of the store is relative, with plain, non-empty segments between slashes.',
    {
      key: key.slice(0, MAX_KEY_BYTES),
    },
  );
}

/** `prefix` itself if it is `''` or a key followed by `/`; else `invalid_name`. */
export function checkPrefix(prefix: string): string {
  if (prefix === '' || (prefix.endsWith('/') && isKey(prefix.slice(0, -1)))) return prefix;
  throw new EmrError('invalid_name', 'A prefix of the store is empty or ends in a slash, with plain segments.', {
    prefix: prefix.slice(0, MAX_KEY_BYTES),
  });
}

/** The same for what is about to be deleted: never the whole store. */
export function checkDeletePrefix(prefix: string): string {
  if (prefix === '') throw new EmrError('invalid_name', 'The whole store is never deleted at once.');
  return checkPrefix(prefix);
}

/** `keep` itself if it is a prefix one segment below `prefix`. */
export function checkKept(prefix: string, keep: string): string {
  const segment = keep.slice(prefix.length);
  if (keep.startsWith(prefix) && segment.length > 1 && segment.indexOf('/') === segment.length - 1)
    return checkPrefix(keep);
  throw new EmrError('invalid_name', 'What is kept of a prefix lies one segment below it.', { prefix, keep });
}

/** Order of keys in listings: by UTF-8 bytes, as S3 has it; `<` on strings compares UTF-16 units, which differs. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
