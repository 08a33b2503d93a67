import { setTimeout as pause } from 'node:timers/promises';
import { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import { EmrError } from '../errors.js';
import type { Bucket } from './s3-client.js';
import { coded, s3Error } from './s3-errors.js';
import { abortUpload, beginUpload, completeUpload, MAX_PARTS, whyNotSent } from './s3-multipart.js';
import type { ObjectInfo } from './types.js';

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

/** Room for the parts of what is written, one object after the other: this is the memory that it takes. */
export interface PartBuffers {
  /** Of each. */
  readonly bytes: number;
  /** Waits until there is one. */
  take(): Promise<Buffer>;
  give(buffer: Buffer): void;
  /** Nothing is written any more: who waits, or comes yet, gets the reason. */
  close(reason: unknown): void;
}

/** `atMost`, where known, spares a small object the room of a whole part. */
export function partBuffers(partBytes: number, atMost = Infinity): PartBuffers {
  const bytes = Math.min(partBytes, atMost);
  const spare: Buffer[] = [];
  let made = 0;
  let waiting: (() => void) | undefined;
  let closed: { reason: unknown } | undefined;
  return {
    bytes,
    async take() {
      while (!closed && spare.length === 0 && made > PARTS_IN_FLIGHT) {
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      }
      if (closed) throw closed.reason;
      const one = spare.pop();
      if (one) return one;
      made += 1;
      return Buffer.allocUnsafeSlow(bytes);
    },
    give(buffer) {
      if (!closed) spare.push(buffer);
      waiting?.();
    },
    close(reason) {
      closed ??= { reason };
      spare.length = 0;
      waiting?.();
    },
  };
}

/** An object going up: a single request if one part holds it all, a multipart upload if not. */
export interface Upload {
  readonly bytes: number;
  /** Copies; resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  /** What no part has been made of, as it is at the call, also as an object of its own. */
  saveRest(key: string, signal: AbortSignal): Promise<ObjectInfo>;
  finish(): Promise<ObjectInfo>;
  /** Stops what is on its way and removes the parts. */
  abort(): Promise<void>;
}

export function createUpload(bucket: Bucket, key: string, buffers: PartBuffers): Upload {
  const at = { Bucket: bucket.name, Key: bucket.key(key) };
  const stop = new AbortController();
  let stopping = false;
  const inFlight = new Set<Promise<void>>();
  const etags: string[] = [];
  let upload: Promise<string> | undefined;
  let buffer: Buffer | undefined;
  /** While it is also sent as an object of its own, a buffer is not used again. */
  let saving: Promise<unknown> = Promise.resolve();
  let filled = 0;
  let bytes = 0;
  let parts = 0;
  let failure: EmrError | undefined;

  const stopped = () => new EmrError('upload_incomplete', 'The writing of the object was aborted.', { key });

  const sendPart = async (body: Buffer, length: number, number: number, id: string): Promise<void> => {
    const part = { ...at, UploadId: id, PartNumber: number, Body: body.subarray(0, length), ContentLength: length };
    try {
      const output = await bucket.client.send(new UploadPartCommand(part), { abortSignal: stop.signal });
      etags[number - 1] = output.ETag ?? '';
    } catch (error) {
      failure ??= stopping ? s3Error(error, key) : await whyNotSent(bucket, key, id, error);
    }
    await saving;
    buffers.give(body); // only now: a repeated attempt sends it again
  };

  const flush = async (): Promise<void> => {
    if (!buffer) return;
    const [body, length] = [buffer, filled];
    buffer = undefined;
    filled = 0;
    if (parts === MAX_PARTS) {
      const detail = `An object of unannounced size has at most ${MAX_PARTS * buffers.bytes} bytes in S3.`;
      throw new EmrError('too_large', detail, { key, limit: MAX_PARTS * buffers.bytes });
    }
    // Without the signal: `abort` needs the id of an upload that is just beginning.
    upload ??= coded(key, () => beginUpload(bucket, key));
    const id = await upload;
    while (inFlight.size >= PARTS_IN_FLIGHT) await Promise.race(inFlight);
    if (failure) throw failure;
    if (stopping) throw stopped();
    const part = sendPart(body, length, ++parts, id).finally(() => inFlight.delete(part));
    inFlight.add(part);
  };

  const put = async (Key: string, body: Buffer, abortSignal: AbortSignal): Promise<string> => {
    const command = new PutObjectCommand({ Bucket: bucket.name, Key, Body: body, ContentLength: body.byteLength });
    return (await bucket.client.send(command, { abortSignal })).ETag ?? '';
  };
  const rest = () => buffer?.subarray(0, filled) ?? Buffer.alloc(0);

  const putWhole = async (): Promise<string> => {
    const version = await put(at.Key, rest(), stop.signal);
    await saving;
    if (buffer) buffers.give(buffer);
    return version;
  };

  const join = async (id: string): Promise<string> => {
    await flush();
    await Promise.all(inFlight);
    if (failure) throw failure;
    return completeUpload(bucket, key, { id, etags, bytes }, stop.signal);
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
        buffer ??= await buffers.take();
        const take = Math.min(chunk.byteLength - done, buffer.byteLength - filled);
        buffer.set(chunk.subarray(done, done + take), filled);
        filled += take;
        done += take;
        bytes += take;
      }
    },
    async saveRest(savedKey, signal) {
      const sent = put(bucket.key(savedKey), rest(), AbortSignal.any([signal, stop.signal]));
      const info = { key: savedKey, bytes: filled, modified: new Date() };
      saving = sent.catch(() => {});
      return { ...info, version: await coded(savedKey, () => sent) };
    },
    async finish() {
      const version = await coded(key, async () => (upload ? join(await upload) : putWhole()));
      buffer = undefined;
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
      const id = await upload?.catch(() => undefined);
      if (id !== undefined) await abortUpload(bucket, key, id);
    },
  };
}
