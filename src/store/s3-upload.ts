import { setTimeout as pause } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { coded, s3Error } from './s3-errors.js';
import type { ObjectInfo } from './types.js';

/** S3: an object has at most this many parts. */
const MAX_PARTS = 10_000;
const MIB = 1 << 20;
/** The smallest that S3 accepts: a merge of N tasks writes N + 1 objects at the same time, each with a part of its own. */
const PART_BYTES = 5 * MIB;
/** For an object of unknown size: 10,000 of these are 156 GiB, which is then the largest. */
export const UNKNOWN_SIZE_PART_BYTES = 16 * MIB;
/** Parts on their way while the next is filled: memory is one part more than this, for each object being written. */
const PARTS_IN_FLIGHT = 1;
/** How long an abort lets the parts on their way arrive before it cuts them off. */
const ABORT_GRACE_MS = 500;

/** The size of the parts of an object of `bytes`: a whole number of MiB that needs at most MAX_PARTS. */
export function partBytesFor(bytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(bytes / MAX_PARTS / MIB) * MIB);
}

/** An object going up: a single request if one part holds it all, a multipart upload if not. */
export interface Upload {
  readonly bytes: number;
  /** Copies; resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<ObjectInfo>;
  /** Stops what is on its way and removes the parts. */
  abort(): Promise<void>;
}

/** `partBytes` bounds the memory; `atMost`, where known, spares a small object the room of a whole part. */
export function createUpload(bucket: Bucket, key: string, partBytes: number, atMost = Infinity): Upload {
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const stop = new AbortController();
  let stopping = false;
  const spare: Buffer[] = [];
  const inFlight = new Set<Promise<void>>();
  const etags: string[] = [];
  let upload: Promise<string> | undefined;
  let buffer: Buffer | undefined;
  let filled = 0;
  let bytes = 0;
  let parts = 0;
  let failure: EmrError | undefined;

  const stopped = () => new EmrError('upload_incomplete', 'The writing of the object was aborted.', { key });

  // Without the signal: `abort` needs the id of an upload that is just beginning.
  const begin = async (): Promise<string> => {
    const output = await bucket.client.send(new CreateMultipartUploadCommand(at));
    if (!output.UploadId) throw new EmrError('store_unavailable', 'The object store began no upload.', { key });
    return output.UploadId;
  };

  const sendPart = async (body: Buffer, length: number, number: number, id: string): Promise<void> => {
    const part = { ...at, UploadId: id, PartNumber: number, Body: body.subarray(0, length), ContentLength: length };
    try {
      const output = await bucket.client.send(new UploadPartCommand(part), { abortSignal: stop.signal });
      etags[number - 1] = output.ETag ?? '';
      spare.push(body); // only now: a repeated attempt sends it again
    } catch (error) {
      failure ??= s3Error(error, key);
    }
  };

  const flush = async (): Promise<void> => {
    if (!buffer) return;
    const [body, length] = [buffer, filled];
    buffer = undefined;
    filled = 0;
    if (parts === MAX_PARTS) {
      const detail = `An object of unannounced size has at most ${MAX_PARTS * partBytes} bytes in S3.`;
      throw new EmrError('too_large', detail, { key, limit: MAX_PARTS * partBytes });
    }
    upload ??= coded(key, begin);
    const id = await upload;
    while (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
    if (failure) throw failure;
    if (stopping) throw stopped();
    const part = sendPart(body, length, ++parts, id).finally(() => inFlight.delete(part));
    inFlight.add(part);
  };

  const putWhole = async (): Promise<string> => {
    const body = buffer?.subarray(0, filled) ?? Buffer.alloc(0);
    const command = new PutObjectCommand({ ...at, Body: body, ContentLength: body.byteLength });
    const output = await bucket.client.send(command, { abortSignal: stop.signal });
    return output.ETag ?? '';
  };

  const join = async (UploadId: string): Promise<string> => {
    await flush();
    await Promise.all(inFlight);
    if (failure) throw failure;
    const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }));
    const command = new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } });
    const output = await bucket.client.send(command, { abortSignal: stop.signal });
    return output.ETag ?? '';
  };

  return {
    get bytes() {
      return bytes;
    },
    async write(chunk) {
      for (let done = 0; done < chunk.byteLength; ) {
        if (failure) throw failure;
        if (stopping) throw stopped();
        if (buffer && filled === buffer.byteLength) await flush();
        buffer ??= spare.pop() ?? Buffer.allocUnsafeSlow(Math.min(partBytes, atMost));
        const take = Math.min(chunk.byteLength - done, buffer.byteLength - filled);
        buffer.set(chunk.subarray(done, done + take), filled);
        filled += take;
        done += take;
        bytes += take;
      }
    },
    async finish() {
      const version = await coded(key, async () => (upload ? join(await upload) : putWhole()));
      buffer = undefined;
      spare.length = 0;
      return { key, bytes, version, modified: new Date() };
    },
    async abort() {
      stopping = true;
      // A part that the server receives after the abort of its upload may be kept, and paid for: first they arrive.
      const arrived = Promise.all(inFlight);
      await Promise.race([arrived, pause(ABORT_GRACE_MS, undefined, { ref: false })]);
      stop.abort();
      await arrived;
      buffer = undefined;
      spare.length = 0;
      const UploadId = await upload?.catch(() => undefined);
      if (UploadId === undefined) return;
      const command = new AbortMultipartUploadCommand({ ...at, UploadId });
      await bucket.client.send(command).catch((error: unknown) => {
        const coded = s3Error(error, key);
        if (coded.code !== 'not_found' && coded.code !== 'upload_incomplete') throw coded;
      });
    },
  };
}
