import type { ResourceLimits } from 'node:worker_threads';

/**
 * For threads that read and compute weights. What they get from S3, and the rules' vectors, lie in small buffers outside
 * the heap, which only a collection of the young generation frees: with the default size of that, hundreds of megabytes
 * wait for one.
 */
export const READER_LIMITS: ResourceLimits = { maxYoungGenerationSizeMb: 4 };
