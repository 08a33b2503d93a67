import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { checkDeletePrefix, checkKept, checkKey, checkPrefix } from './keys.js';
import { createCheck } from './s3-check.js';
import { openBucket, type S3Config } from './s3-client.js';
import { createCopyCheck } from './s3-copies.js';
import { createObject } from './s3-create.js';
import { deleteBelow, deleteObject } from './s3-delete.js';
import { coded, isMissing, s3Error } from './s3-errors.js';
import { listObjects } from './s3-list.js';
import { readSmall, s3Reader } from './s3-reader.js';
import { s3Put, s3Writer } from './s3-writer.js';
import { until } from './source.js';
import type { Store } from './types.js';

/** Large enough to hide the latency of a request at a few hundred MB/s. */
const READ_BYTES = 8 << 20;

/**
 * Objects of an S3 bucket below a prefix. The server must honour `If-None-Match: *` on PutObject (`check` finds out).
 * Credentials and region are found by the SDK.
 */
export function createS3Store(config: S3Config): Store {
  const bucket = openBucket(config);
  return {
    config,
    readBytes: READ_BYTES,

    async stat(key) {
      checkKey(key);
      try {
        const head = await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key: bucket.key(key) }));
        const { ContentLength: bytes = 0, ETag: version = '', LastModified: modified = new Date(0) } = head;
        return { key, bytes, version, modified };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw s3Error(error, key);
      }
    },

    async openReader(key) {
      checkKey(key);
      return coded(key, () => s3Reader(bucket, key));
    },

    async readSmall(key, limit) {
      return readSmall(bucket, checkKey(key), limit);
    },

    async create(key, bytes) {
      return createObject(bucket, checkKey(key), bytes);
    },

    canSave: createCopyCheck(bucket),

    async openWriter(key, bytes) {
      return s3Writer(bucket, checkKey(key), bytes);
    },

    async put(key, source, options = {}) {
      return s3Put(bucket, checkKey(key), until(source, options.signal));
    },

    async *list(prefix, options = {}) {
      yield* listObjects(bucket, checkPrefix(prefix), options.delimiter ?? false);
    },

    async delete(key) {
      await deleteObject(bucket, bucket.key(checkKey(key)));
    },

    async deletePrefix(prefix, { keep } = {}) {
      await deleteBelow(bucket, checkDeletePrefix(prefix), keep && checkKept(prefix, keep));
    },

    check: createCheck(bucket),

    async close() {
      bucket.client.destroy();
    },
  };
}
