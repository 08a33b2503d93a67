import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
} from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { coded, isMissing, isUnsupported, s3Error } from './s3-errors.js';
import { listObjects } from './s3-list.js';

/** Single deletions in flight, where a server cannot delete a page at once. */
const SINGLE_DELETES = 8;

/** `key` is the bucket's. */
export async function deleteObject(bucket: Bucket, key: string): Promise<void> {
  try {
    await bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }));
  } catch (error) {
    if (!isMissing(error)) throw s3Error(error, bucket.strip(key));
  }
}

async function deleteSingly(bucket: Bucket, keys: string[]): Promise<void> {
  const left = [...keys];
  const worker = async () => {
    for (let key = left.pop(); key !== undefined; key = left.pop()) await deleteObject(bucket, key);
  };
  await Promise.all(Array.from({ length: SINGLE_DELETES }, worker));
}

async function deletePage(bucket: Bucket, keys: string[]): Promise<void> {
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  try {
    const output = await bucket.client.send(new DeleteObjectsCommand({ Bucket: bucket.name, Delete }));
    const failed = (output.Errors ?? []).filter((error) => error.Code !== 'NoSuchKey');
    if (failed.length === 0) return;
    throw new EmrError('store_unavailable', 'The object store did not delete every object.', {
      failed: failed.length,
      reason: failed[0]?.Code,
    });
  } catch (error) {
    if (!isUnsupported(error)) throw error;
  }
  await deleteSingly(bucket, keys);
}

/** Parts of unfinished uploads are kept, and paid for, until somebody ends the upload. */
async function abortUploads(bucket: Bucket, prefix: string): Promise<void> {
  const request = { Bucket: bucket.name, Prefix: prefix };
  let markers: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
  while (markers) {
    let output: ListMultipartUploadsCommandOutput;
    try {
      output = await bucket.client.send(new ListMultipartUploadsCommand({ ...request, ...markers }));
    } catch (error) {
      if (isUnsupported(error)) return;
      throw error;
    }
    for (const { Key, UploadId } of output.Uploads ?? []) {
      if (!Key?.startsWith(prefix)) continue;
      const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key, UploadId });
      await bucket.client.send(command).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
    }
    const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = output;
    markers =
      IsTruncated && NextKeyMarker
        ? { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker ? { UploadIdMarker: NextUploadIdMarker } : {}) }
        : undefined;
  }
}

/**
 * Uploads first: one that ends meanwhile is then among the objects. Those below `keep` go too: an upload whose beginning
 * was answered to nobody has been begun twice.
 */
export async function deleteBelow(bucket: Bucket, prefix: string, keep?: string): Promise<void> {
  await coded(prefix, async () => {
    await abortUploads(bucket, bucket.key(prefix));
    for await (const page of listObjects(bucket, prefix, false)) {
      const gone = page.objects.filter(({ key }) => keep === undefined || !key.startsWith(keep));
      const keys = gone.map((object) => bucket.key(object.key));
      if (keys.length > 0) await deletePage(bucket, keys);
    }
  });
}
