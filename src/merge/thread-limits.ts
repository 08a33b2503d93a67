import type { ResourceLimits } from 'node:worker_threads';

/**
 * For threads that read weights. From S3 they get them in small buffers outside the heap, which only a collection of the
 * young generation frees: with the default size of that, hundreds of megabytes wait for one.
 */
export const READER_LIMITS: ResourceLimits = { maxYoungGenerationSizeMb: 4 };
