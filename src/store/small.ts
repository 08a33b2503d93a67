import { EmrError } from '../errors.js';

/** Facts, indexes and reports are far below this; what is larger is no small object and must be streamed. */
export const SMALL_OBJECT_BYTES = 64 << 20;

export function tooLarge(key: string, bytes: number, limit: number): EmrError {
  return new EmrError('too_large', `The object has ${bytes} bytes, more than the ${limit} that are read at once.`, {
    key,
    bytes,
    limit,
  });
}
