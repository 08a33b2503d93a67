import { createHash } from 'node:crypto';
import { compareUtf8 } from './order.js';

/**
 * The identity of a checkpoint: the SHA-256, in hexadecimal, of this text in UTF-8, every line ended by a line feed:
 *
 *     emr-checkpoint-1
 *     <sha256 of the file, 64 lower-case hexadecimal digits> <its bytes, decimal> <its name as a JSON string>
 *
 * with one line for each file, in the order of the UTF-8 bytes of their names.
 */
export function checkpointDigest(
  files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[],
): string {
  const sorted = [...files].sort((left, right) => compareUtf8(left.name, right.name));
  const lines = sorted.map(({ name, bytes, sha256 }) => `${sha256} ${bytes} ${JSON.stringify(name)}\n`);
  return createHash('sha256')
    .update(`emr-checkpoint-1\n${lines.join('')}`)
    .digest('hex');
}
