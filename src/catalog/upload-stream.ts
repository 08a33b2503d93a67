import { createHash } from 'node:crypto';
import { EmrError } from '../errors.js';

/** Python's `torch.save` writes zip archives; older ones and plain pickles start with the PROTO opcode. */
const ZIP_MAGIC = Buffer.from('PK\x03\x04', 'latin1');
const PICKLE_PROTO = 0x80;

/**
 * Passes a file through while counting and hashing it, and refuses at its first bytes what cannot be a safetensors file,
 * so that nobody uploads 30 GB of pickle to be told so. `result` is valid when the stream has ended.
 */
export function meterUpload(file: string, source: AsyncIterable<Uint8Array>, maxBytes: number) {
  const hash = createHash('sha256');
  const result = { bytes: 0, sha256: '' };
  async function* meter(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      if (result.bytes === 0 && file.endsWith('.safetensors')) refusePickle(file, chunk);
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

function refusePickle(file: string, head: Uint8Array): void {
  const zip = head.byteLength >= 4 && ZIP_MAGIC.equals(head.subarray(0, 4));
  const pickle = head[0] === PICKLE_PROTO && head.byteLength > 8 && head[8] !== 0x7b;
  if (zip || pickle) {
    throw new EmrError('safetensors_header_start', `${file} holds a pickle: convert it with safetensors' save_file.`, {
      file,
    });
  }
}
