import { HeadObjectCommand, UploadPartCopyCommand } from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { abortUpload, beginUpload, completeUpload } from './s3-multipart.js';
import type { ObjectInfo } from './types.js';

/** S3 copies at most 5 GiB into a part; smaller pieces are copied side by side, and none takes minutes. */
const PIECE_BYTES = 2 ** 30;
const PIECES_AT_ONCE = 4;

/** An object that the server makes of others, in the order of `add`: their bytes do not pass through here. */
export interface Join {
  /** At least 5 MiB, but for the last. After an error it may be asked for again. */
  add(source: ObjectInfo, signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<ObjectInfo>;
  abort(): Promise<void>;
}

/** Stretches of about the same size, none above PIECE_BYTES. */
function piecesOf(bytes: number): { first: number; last: number }[] {
  const count = Math.ceil(bytes / PIECE_BYTES);
  const size = Math.ceil(bytes / count);
  return Array.from({ length: count }, (_, n) => ({ first: n * size, last: Math.min(bytes, (n + 1) * size) - 1 }));
}

/** Errors are those of the SDK. */
export function createJoin(bucket: Bucket, key: string): Join {
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const etags: string[] = [];
  let upload: string | undefined;
  let bytes = 0;

  const copy = async (source: ObjectInfo, part: number, range: string | undefined, abortSignal: AbortSignal) => {
    const from = `${bucket.name}/${bucket.key(source.key)}`.split('/').map(encodeURIComponent).join('/');
    const command = new UploadPartCopyCommand({
      ...at,
      UploadId: upload,
      PartNumber: part,
      CopySource: from,
      ...(source.version ? { CopySourceIfMatch: source.version } : {}),
      ...(range ? { CopySourceRange: range } : {}),
    });
    const { CopyPartResult } = await bucket.client.send(command, { abortSignal });
    if (!CopyPartResult?.ETag) throw new EmrError('store_unavailable', 'The object store copied nothing.', { key });
    return CopyPartResult.ETag;
  };

  return {
    async add(source, signal) {
      upload ??= await beginUpload(bucket, key);
      const pieces = piecesOf(source.bytes);
      const copied: string[] = [];
      let next = 0;
      const work = async () => {
        for (let n = next++; n < pieces.length; n = next++) {
          const { first, last } = pieces[n]!;
          // A range is refused of objects that are no larger than a part may be small.
          const range = pieces.length === 1 ? undefined : `bytes=${first}-${last}`;
          copied[n] = await copy(source, etags.length + n + 1, range, signal);
        }
      };
      const done = await Promise.allSettled(Array.from({ length: PIECES_AT_ONCE }, work));
      for (const one of done) if (one.status === 'rejected') throw one.reason;
      etags.push(...copied);
      bytes += source.bytes;
    },
    async finish(signal) {
      const version = await completeUpload(bucket, key, { id: upload!, etags, bytes }, signal);
      const { ContentLength } = await bucket.client.send(new HeadObjectCommand(at), { abortSignal: signal });
      if (ContentLength !== bytes) {
        const facts = { key, expected: bytes, found: ContentLength ?? 0 };
        throw new EmrError('store_unavailable', 'The object store joined objects to another size.', facts);
      }
      return { key, bytes, version, modified: new Date() };
    },
    async abort() {
      if (upload !== undefined) await abortUpload(bucket, key, upload);
    },
  };
}

/** Copies an object of any size within the bucket. */
export async function copyObject(bucket: Bucket, source: ObjectInfo, key: string, signal: AbortSignal) {
  const join = createJoin(bucket, key);
  try {
    await join.add(source, signal);
    return await join.finish(signal);
  } catch (error) {
    await join.abort().catch(() => {}); // the first error is the one to tell
    throw error;
  }
}
