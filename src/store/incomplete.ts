import { EmrError } from '../errors.js';

export function incomplete(key: string, announced: number, written: number): EmrError {
  const detail = `${announced} bytes were announced and ${written} written.`;
  return new EmrError('upload_incomplete', detail, { key, announced, written });
}
