import { S3ServiceException } from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';

export function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

/** No such object. A missing bucket has the same status, but is a fault of the store. */
export function isMissing(error: unknown): boolean {
  return statusOf(error) === 404 && error instanceof Error && error.name !== 'NoSuchBucket';
}

/** The condition of a request (If-Match, If-None-Match) did not hold. */
export function isRefusedByCondition(error: unknown): boolean {
  return statusOf(error) === 412;
}

/** A conditional write met another one in flight: S3 asks to try again. */
export function isConflict(error: unknown): boolean {
  return statusOf(error) === 409;
}

/** Some servers lack a request, or want it with a checksum that the SDK no longer sends. */
export function isUnsupported(error: unknown): boolean {
  const status = statusOf(error);
  return status === 400 || status === 405 || status === 501;
}

// 507 is what servers on disks of their own answer; the names are those of MinIO and of Ceph's quotas.
const FULL = new Set(['InsufficientStorage', 'XMinioStorageFull', 'QuotaExceeded']);

/** An error of the SDK as a coded one. Host names and addresses stay in `cause`, which is for the log alone. */
export function s3Error(error: unknown, key: string): EmrError {
  if (error instanceof EmrError) return error;
  const options = { cause: error };
  const name = error instanceof Error ? error.name : '';
  const status = statusOf(error);
  if (status === 507 || FULL.has(name)) {
    return new EmrError('disk_full', 'The object store has no room left.', { key }, options);
  }
  if (name === 'NoSuchUpload') {
    return new EmrError('upload_incomplete', 'The object was deleted while it was written.', { key }, options);
  }
  if (isMissing(error)) return new EmrError('not_found', 'The store has no such object.', { key }, options);
  if (isRefusedByCondition(error)) return changed(key, error);
  if (name === 'EntityTooLarge') {
    return new EmrError('too_large', 'The object is larger than the object store accepts.', { key }, options);
  }
  if (name === 'KeyTooLongError') {
    return new EmrError('invalid_name', 'The key with the prefix of the store is too long.', { key }, options);
  }
  if (status === 401 || status === 403) {
    const detail = 'The object store refused the credentials; check them, the region and the rights on the bucket.';
    return new EmrError('store_unavailable', detail, { key }, options);
  }
  return new EmrError('store_unavailable', 'The object store did not answer as it should.', { key }, options);
}

export function changed(key: string, cause?: unknown): EmrError {
  return new EmrError('source_changed', 'The object changed while it was read.', { key }, { cause });
}

/** Runs `work` with every error coded. */
export async function coded<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw s3Error(error, key);
  }
}
