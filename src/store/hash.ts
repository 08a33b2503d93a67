import { createHash } from 'node:crypto';
import type { ObjectReader } from './types.js';

/** One read and one piece of hashing: large enough to be fast, small enough to hold up nobody else for long. */
const CHUNK_BYTES = 2 ** 20;

/** The SHA-256 of all that `reader` has, in hexadecimal; yields how many bytes are done, after each MiB. */
export async function* hashing(reader: ObjectReader, signal?: AbortSignal): AsyncGenerator<number, string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, reader.bytes));
  for (let done = 0; done < reader.bytes; ) {
    signal?.throwIfAborted();
    const part = chunk.subarray(0, Math.min(CHUNK_BYTES, reader.bytes - done));
    await reader.read(part, done);
    hash.update(part);
    done += part.byteLength;
    yield done;
  }
  return hash.digest('hex');
}

/** The same at once. */
export async function hashAll(reader: ObjectReader, signal?: AbortSignal): Promise<string> {
  const work = hashing(reader, signal);
  for (;;) {
    const step = await work.next();
    if (step.done) return step.value;
  }
}
