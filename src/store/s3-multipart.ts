import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { s3Error } from './s3-errors.js';

/** S3: an object has at most this many parts. */
export const MAX_PARTS = 10_000;

/** The id of a new multipart upload. */
export async function beginUpload(bucket: Bucket, key: string): Promise<string> {
  const command = new CreateMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.key(key) });
  const { UploadId } = await bucket.client.send(command);
  if (!UploadId) throw new EmrError('store_unavailable', 'The object store began no upload.', { key });
  return UploadId;
}

/**
 * Makes an object of the parts, which have these ETags, in order; the object's own. An answer can be lost, and the SDK's
 * next attempt is then told that there is no such upload: an object that has these bytes is what it became.
 */
export async function completeUpload(
  bucket: Bucket,
  key: string,
  { id, etags, bytes }: { id: string; etags: readonly string[]; bytes: number },
  abortSignal: AbortSignal,
): Promise<string> {
  const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const command = new CompleteMultipartUploadCommand({ ...at, UploadId: id, MultipartUpload: { Parts } });
  try {
    return (await bucket.client.send(command, { abortSignal })).ETag ?? '';
  } catch (error) {
    const repeated = error instanceof S3ServiceException && (error.$metadata.attempts ?? 1) > 1;
    if (!repeated || error.name !== 'NoSuchUpload') throw error;
    const found = await bucket.client.send(new HeadObjectCommand(at), { abortSignal }).catch(() => undefined);
    if (found?.ContentLength !== bytes) throw error;
    return found.ETag ?? '';
  }
}

/**
 * Why a part could not be sent. A server that knows no such upload may answer before it has the body, and close: what is
 * seen here is then a broken connection, without the answer.
 */
export async function whyNotSent(bucket: Bucket, key: string, UploadId: string, error: unknown): Promise<EmrError> {
  if (error instanceof S3ServiceException) return s3Error(error, key);
  const command = new ListPartsCommand({ Bucket: bucket.name, Key: bucket.key(key), UploadId, MaxParts: 1 });
  const gone = await bucket.client.send(command).then(
    () => undefined,
    (cause: unknown) => (cause instanceof S3ServiceException && cause.name === 'NoSuchUpload' ? cause : undefined),
  );
  return s3Error(gone ?? error, key);
}

/** Removes the parts of an upload that is given up; no error if it has ended already. */
export async function abortUpload(bucket: Bucket, key: string, UploadId: string): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.key(key), UploadId });
  await bucket.client.send(command).catch((error: unknown) => {
    const coded = s3Error(error, key);
    if (coded.code !== 'not_found' && coded.code !== 'upload_incomplete') throw coded;
  });
}
