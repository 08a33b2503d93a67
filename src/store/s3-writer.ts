import { EmrError } from '../errors.js';
import { incomplete } from './incomplete.js';
import type { Bucket } from './s3-client.js';
import { deleteObject } from './s3-delete.js';
import { createSegments } from './s3-segments.js';
import { createUpload, partBuffers, partBytesFor, UNKNOWN_SIZE_PART_BYTES, type Upload } from './s3-upload.js';
import type { ObjectInfo, ObjectWriter } from './types.js';

/** The store's `openWriter` for a bucket. Parts are as large as the announced size needs. */
export function s3Writer(bucket: Bucket, key: string, bytes: number): ObjectWriter {
  const partBytes = partBytesFor(bytes);
  const buffers = partBuffers(partBytes, bytes);
  const segments = createSegments(bucket, key);
  let upload = createUpload(bucket, key, buffers);
  /** Bytes of earlier uploads. */
  let before = 0;
  let saved = 0;
  let failure: unknown;
  let ended = false;
  const over = () => new EmrError('internal', 'The object was finished or aborted before.', { key });
  const notEnded = () => {
    if (ended) throw over();
    if (failure !== undefined) throw failure;
  };

  /** Ends a segment, without which the object cannot be finished. */
  const endSegment = async (segment: Upload, signal: AbortSignal): Promise<void> => {
    const stop = () => void segment.abort().catch(() => {});
    signal.addEventListener('abort', stop, { once: true });
    try {
      segments.push(await segment.finish());
    } catch (error) {
      failure = error;
      buffers.close(error);
      await segment.abort().catch(() => {}); // the first error is the one to tell
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  };

  const finish = async (): Promise<ObjectInfo> => {
    if (segments.ended.length === 0) return upload.finish();
    if (upload.bytes > 0) segments.push(await upload.finish());
    return segments.finish();
  };

  const abort = async (): Promise<void> => {
    buffers.close(over());
    await upload.abort();
    await segments.abort();
  };

  return {
    async write(chunk) {
      notEnded();
      const end = before + upload.bytes + chunk.byteLength;
      if (end > bytes) throw incomplete(key, bytes, end);
      await upload.write(chunk);
    },
    async save(place, signal) {
      notEnded();
      signal.throwIfAborted();
      const next = () => `${place}/${String(++saved).padStart(8, '0')}`;
      // What is less than a part is still here. It goes there by itself, and once more with the segment that it begins.
      if (upload.bytes < partBytes) {
        const restKey = next();
        const rest = upload.bytes > 0 ? upload.saveRest(restKey, signal) : undefined;
        const done = await Promise.allSettled([rest, segments.settle(next(), signal)]);
        // The caller is told of none of it.
        if (rest && done.some(isRejected)) await deleteObject(bucket, bucket.key(restKey)).catch(() => {});
        requireAll(done);
        return [...segments.ended, ...(rest ? [await rest] : [])];
      }
      segments.requireRoom();
      const segment = upload;
      before += segment.bytes;
      upload = createUpload(bucket, next(), buffers);
      await endSegment(segment, signal);
      await segments.settle(next(), signal);
      return [...segments.ended];
    },
    async finish() {
      notEnded();
      ended = true;
      try {
        if (before + upload.bytes !== bytes) throw incomplete(key, bytes, before + upload.bytes);
        const info = await finish();
        buffers.close(over());
        return info;
      } catch (error) {
        await abort().catch(() => {}); // the first error is the one to tell
        throw error;
      }
    },
    async abort() {
      if (ended) return;
      ended = true;
      await abort();
    },
  };
}

const isRejected = (one: PromiseSettledResult<unknown>) => one.status === 'rejected';

function requireAll(results: readonly PromiseSettledResult<unknown>[]): void {
  for (const one of results) if (one.status === 'rejected') throw one.reason;
}

/** The store's `put` for a bucket. */
export async function s3Put(bucket: Bucket, key: string, source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
  const upload = createUpload(bucket, key, partBuffers(UNKNOWN_SIZE_PART_BYTES));
  try {
    for await (const chunk of source) await upload.write(chunk);
    return await upload.finish();
  } catch (error) {
    await upload.abort().catch(() => {});
    throw error; // the source's own error as it is
  }
}
