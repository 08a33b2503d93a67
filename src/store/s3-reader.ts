import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput, HeadObjectCommand } from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { changed, isMissing, s3Error, statusOf } from './s3-errors.js';
import { SMALL_OBJECT_BYTES, tooLarge } from './small.js';
import type { ObjectReader } from './types.js';

/** The SDK tries a request again, but not a body that breaks off half-way: that is done here. */
const BODY_ATTEMPTS = 4;

function bodyOf(output: GetObjectCommandOutput): Readable {
  if (output.Body instanceof Readable) return output.Body;
  throw new EmrError('store_unavailable', 'The object store answered without a body.');
}

/**
 * Copies `body` to `target`, which it must fill exactly, and returns how far it came before it broke off. A body left
 * unread would keep its socket: one that is too long is destroyed. By events: iteration takes twice the time of the
 * processor.
 */
function fill(target: Uint8Array, body: Readable, key: string): Promise<{ filled: number; error?: unknown }> {
  return new Promise((resolve, reject) => {
    let filled = 0;
    body.on('data', (chunk: Buffer) => {
      if (filled + chunk.byteLength > target.byteLength) {
        reject(changed(key));
        body.destroy();
        return;
      }
      target.set(chunk, filled);
      filled += chunk.byteLength;
    });
    body.once('end', () => resolve({ filled }));
    body.once('error', (error) => resolve({ filled, error }));
    body.once('close', () => resolve({ filled })); // after `end` or `error` it changes nothing
  });
}

/** Reads of one version: each carries its ETag as a condition. */
export async function s3Reader(bucket: Bucket, key: string): Promise<ObjectReader> {
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const head = await bucket.client.send(new HeadObjectCommand(at));
  const bytes = head.ContentLength ?? 0;
  const version = head.ETag ?? '';

  const readOnce = async (target: Uint8Array, offset: number) => {
    const range = { Range: `bytes=${offset}-${offset + target.byteLength - 1}`, IfMatch: version };
    try {
      const output = await bucket.client.send(new GetObjectCommand({ ...at, ...range }));
      return await fill(target, bodyOf(output), key);
    } catch (error) {
      // Deleted, or replaced by something shorter by a server that does not look at the condition first.
      if (isMissing(error) || statusOf(error) === 416) throw changed(key, error);
      throw s3Error(error, key);
    }
  };

  return {
    bytes,
    version,
    async read(target, offset) {
      if (!Number.isSafeInteger(offset) || offset < 0 || offset + target.byteLength > bytes) {
        throw new EmrError('invalid_range', 'The range lies beyond the end of the object.', { key, offset, bytes });
      }
      let cause: unknown;
      for (let done = 0, attempt = 1; done < target.byteLength; attempt++) {
        if (attempt > BODY_ATTEMPTS) throw s3Error(cause, key);
        const { filled, error } = await readOnce(target.subarray(done), offset + done);
        if (filled > 0) attempt = 1; // it moves on: only standing still is given up
        done += filled;
        cause = error;
      }
    },
    async close() {},
  };
}

/** A whole object in one request, or undefined if there is none. */
export async function readSmall(bucket: Bucket, key: string, limit = SMALL_OBJECT_BYTES): Promise<Buffer | undefined> {
  for (let attempt = 1; ; attempt++) {
    let output: GetObjectCommandOutput;
    try {
      output = await bucket.client.send(new GetObjectCommand({ Bucket: bucket.name, Key: bucket.key(key) }));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw s3Error(error, key);
    }
    const body = bodyOf(output);
    const bytes = output.ContentLength ?? 0;
    if (bytes > limit) {
      body.destroy();
      throw tooLarge(key, bytes, limit);
    }
    const target = Buffer.alloc(bytes);
    const { filled, error } = await fill(target, body, key);
    if (filled === bytes) return target;
    if (attempt === BODY_ATTEMPTS) throw s3Error(error, key);
  }
}
