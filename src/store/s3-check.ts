import { randomUUID } from 'node:crypto';
import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { createObject } from './s3-create.js';
import { deleteObject } from './s3-delete.js';
import { s3Error } from './s3-errors.js';

/**
 * Older servers ignore If-None-Match and overwrite: on such a one two attempts could both believe they had won. Found
 * out by writing one object twice.
 */
async function checkConditionalWrites(bucket: Bucket): Promise<void> {
  const key = `probe-${randomUUID()}`;
  try {
    const first = await createObject(bucket, key, Buffer.from('1'));
    const second = await createObject(bucket, key, Buffer.from('2'));
    if (first && !second) return;
  } finally {
    await deleteObject(bucket, bucket.key(key));
  }
  const detail = 'The object store ignores If-None-Match, without which racing writers cannot be told apart.';
  throw new EmrError('store_unavailable', detail);
}

/** Asks for the bucket each time, and once whether its server keeps the promise that `create` rests on. */
export function createCheck(bucket: Bucket): () => Promise<void> {
  let probed = false;
  return async () => {
    try {
      await bucket.client.send(new HeadBucketCommand({ Bucket: bucket.name }));
      if (!probed) await checkConditionalWrites(bucket);
      probed = true;
    } catch (error) {
      const known = s3Error(error, '');
      if (known.code === 'store_unavailable' || known.code === 'disk_full') throw known;
      throw new EmrError('store_unavailable', 'The bucket of the store cannot be used.', {}, { cause: error });
    }
  };
}
