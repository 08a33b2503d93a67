import { randomUUID } from 'node:crypto';
import type { Bucket } from './s3-client.js';
import { createObject } from './s3-create.js';
import { deleteObject } from './s3-delete.js';
import { isUnsupported, statusOf } from './s3-errors.js';
import { copyObject } from './s3-join.js';
import { readSmall } from './s3-reader.js';

const CONTENT = Buffer.from('copied by the server');

/** Some servers refuse UploadPartCopy; one that does not know it takes it for an empty part. Found out by copying a few bytes. */
async function tryCopy(bucket: Bucket): Promise<boolean> {
  const key = `probe-${randomUUID()}`;
  const copied = `${key}-copy`;
  try {
    await createObject(bucket, key, CONTENT);
    const source = { key, bytes: CONTENT.byteLength, version: '', modified: new Date() };
    await copyObject(bucket, source, copied, new AbortController().signal);
    return (await readSmall(bucket, copied))?.equals(CONTENT) ?? false;
  } finally {
    await Promise.all([key, copied].map((one) => deleteObject(bucket, bucket.key(one))));
  }
}

/** Whether the server copies objects into parts of another. Asked once, unless it cannot answer now. */
export function createCopyCheck(bucket: Bucket): () => Promise<boolean> {
  let known: boolean | undefined;
  return async () => {
    try {
      known ??= await tryCopy(bucket);
    } catch (error) {
      // Who may write and not copy is refused every time. Writing itself has errors of its own.
      if (!isUnsupported(error) && statusOf(error) !== 403) return false;
      known = false;
    }
    return known;
  };
}
