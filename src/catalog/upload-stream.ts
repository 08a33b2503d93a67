import { createHash } from 'node:crypto';
import { foreignKind, HEAD_BYTES, refuseForeign } from '../checkpoint/foreign.js';
import { EmrError } from '../errors.js';

/**
 * Passes a file through while counting and hashing it, and refuses pickles and archives at their first bytes, so that
 * nobody uploads 30 GB of pickle to be told so. `result` is valid when the stream has ended.
 */
export function meterUpload(file: string, source: AsyncIterable<Uint8Array>, maxBytes: number) {
  const hash = createHash('sha256');
  const result = { bytes: 0, sha256: '' };
  let head = Buffer.alloc(0);
  async function* meter(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (head.byteLength < HEAD_BYTES) {
        // Of a client that sends byte by byte, too.
        head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.byteLength)]);
        const kind = foreignKind(file, head);
        if (kind) throw refuseForeign(file, kind);
      }
      result.bytes += chunk.byteLength;
      if (result.bytes > maxBytes) {
        throw new EmrError('too_large', `${file} is larger than the ${maxBytes} bytes that this server accepts.`, {
          file,
          limit: maxBytes,
          setting: 'EMR_MAX_UPLOAD_BYTES',
        });
      }
      hash.update(chunk);
      yield chunk;
    }
    result.sha256 = hash.digest('hex');
  }
  return { stream: meter(), result };
}
