import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { HeadObjectCommand, PutObjectCommand, S3ServiceException } from '@aws-sdk/client-s3';
import type { Bucket } from './s3-client.js';
import { isConflict, isRefusedByCondition, s3Error } from './s3-errors.js';

/** S3 answers 409 while another conditional write to the key is in flight, which is soon over. */
const CONFLICT_TRIES = 8;
const CONFLICT_PAUSE_MS = 50;

/**
 * Writes an object if the key is free; of racing calls one gets true. An answer can be lost and the SDK's next attempt
 * then refused because of our own object, so each call marks its object and looks for the mark.
 */
export async function createObject(bucket: Bucket, key: string, bytes: Uint8Array): Promise<boolean> {
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const mark = randomUUID();
  // A copy: the SDK cannot hash a view of shared memory, and its caller may reuse the bytes.
  const object = { ...at, Body: Buffer.from(bytes), Metadata: { writer: mark }, IfNoneMatch: '*' };
  const isOurs = async () => (await bucket.client.send(new HeadObjectCommand(at))).Metadata?.writer === mark;

  for (let attempt = 1; ; attempt++) {
    try {
      await bucket.client.send(new PutObjectCommand(object));
      return true;
    } catch (error) {
      try {
        if (isRefusedByCondition(error)) {
          const attempts = error instanceof S3ServiceException ? (error.$metadata.attempts ?? 1) : 1;
          return attempt > 1 || attempts > 1 ? await isOurs() : false;
        }
      } catch (cause) {
        throw s3Error(cause, key);
      }
      if (!isConflict(error) || attempt === CONFLICT_TRIES) throw s3Error(error, key);
      await pause(CONFLICT_PAUSE_MS * attempt * Math.random());
    }
  }
}
