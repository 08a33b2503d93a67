import { spawnSync } from 'node:child_process';
import * as zlib from 'node:zlib';

const LEVEL = 19;

/**
 * Bytes that zstd makes of these, at level 19: by Node (22.15 and later), or by the program `zstd`.
 * @throws Error when there is neither
 */
export function zstdBytes(bytes: Uint8Array): number {
  const own = zlib as {
    zstdCompressSync?: (input: Uint8Array, options: object) => Buffer;
    constants: Record<string, number>;
  };
  if (own.zstdCompressSync) {
    return own.zstdCompressSync(bytes, { params: { [own.constants.ZSTD_c_compressionLevel!]: LEVEL } }).length;
  }
  const { status, stdout, error } = spawnSync('zstd', [`-${LEVEL}`, '--stdout', '--no-check'], {
    input: bytes,
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error('Node 22.15 or later, or the program zstd, is needed here', { cause: error });
  return stdout.length;
}
