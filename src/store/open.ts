import { createFileStore } from './fs.js';
import { removeFileLeftovers } from './fs-leftovers.js';
import type { Store, StoreConfig } from './types.js';

export { parseStoreUrl, type StoreUrlOptions } from './url.js';

/** The store of `config`. The S3 SDK is loaded only where it is used: it takes longer to load than all else here. */
export async function openStore(config: StoreConfig): Promise<Store> {
  if (config.kind === 'file') return createFileStore({ root: config.root });
  const { createS3Store } = await import('./s3.js');
  return createS3Store(config);
}

/**
 * Removes what writers that have died left unfinished; once, when a server starts. In S3 a lifecycle rule of the bucket
 * (AbortIncompleteMultipartUpload) does that: from outside, a slow upload looks the same as a dead one.
 */
export async function removeLeftovers(config: StoreConfig): Promise<number> {
  return config.kind === 'file' ? removeFileLeftovers(config.root) : 0;
}
