import { EmrError } from '../errors.js';
import { incomplete } from './incomplete.js';
import type { Bucket } from './s3-client.js';
import { createUpload, partBytesFor, UNKNOWN_SIZE_PART_BYTES } from './s3-upload.js';
import type { ObjectInfo, ObjectWriter } from './types.js';

/** The store's `openWriter` for a bucket. Parts are as large as the announced size needs. */
export function s3Writer(bucket: Bucket, key: string, bytes: number): ObjectWriter {
  const upload = createUpload(bucket, key, partBytesFor(bytes), bytes);
  let ended = false;
  const notEnded = () => {
    if (ended) throw new EmrError('internal', 'The object was finished or aborted before.', { key });
  };
  return {
    async write(chunk) {
      notEnded();
      const end = upload.bytes + chunk.byteLength;
      if (end > bytes) throw incomplete(key, bytes, end);
      await upload.write(chunk);
    },
    async finish() {
      notEnded();
      ended = true;
      try {
        if (upload.bytes !== bytes) throw incomplete(key, bytes, upload.bytes);
        return await upload.finish();
      } catch (error) {
        await upload.abort().catch(() => {}); // the first error is the one to tell
        throw error;
      }
    },
    async abort() {
      if (ended) return;
      ended = true;
      await upload.abort();
    },
  };
}

/** The store's `put` for a bucket. */
export async function s3Put(bucket: Bucket, key: string, source: AsyncIterable<Uint8Array>): Promise<ObjectInfo> {
  const upload = createUpload(bucket, key, UNKNOWN_SIZE_PART_BYTES);
  try {
    for await (const chunk of source) await upload.write(chunk);
    return await upload.finish();
  } catch (error) {
    await upload.abort().catch(() => {});
    throw error; // the source's own error as it is
  }
}
