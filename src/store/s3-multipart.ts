import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
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

/** Makes an object of the parts, which have these ETags, in order; the object's own. */
export async function completeUpload(
  bucket: Bucket,
  key: string,
  { id, etags }: { id: string; etags: readonly string[] },
  abortSignal: AbortSignal,
): Promise<string> {
  const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
  const at = { Bucket: bucket.name, Key: bucket.key(key), UploadId: id };
  const command = new CompleteMultipartUploadCommand({ ...at, MultipartUpload: { Parts } });
  return (await bucket.client.send(command, { abortSignal })).ETag ?? '';
}

/** Removes the parts of an upload that is given up; no error if it has ended already. */
export async function abortUpload(bucket: Bucket, key: string, UploadId: string): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: bucket.key(key), UploadId });
  await bucket.client.send(command).catch((error: unknown) => {
    const coded = s3Error(error, key);
    if (coded.code !== 'not_found' && coded.code !== 'upload_incomplete') throw coded;
  });
}
