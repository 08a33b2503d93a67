import type { ResourceLimits } from 'node:worker_threads';
import type { StoreConfig } from '../store/types.js';

/**
 * For threads that read weights. From S3 they get them in small buffers outside the heap, which only a collection of the
 * young generation frees: with the default size of that, hundreds of megabytes wait for one. Local files are read
 * straight into the kernel's memory.
 */
export function readerLimits({ kind }: StoreConfig): ResourceLimits {
  return kind === 'file' ? {} : { maxYoungGenerationSizeMb: 4 };
}
