import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EmrError } from '../errors.js';
import { isKey } from './keys.js';
import type { StoreConfig } from './types.js';

export interface StoreUrlOptions {
  /** The address of an S3 server other than AWS. */
  readonly endpoint?: string | undefined;
  readonly checksums?: 'when_required' | 'when_supported' | undefined;
}

// The rule of S3 for bucket names, and a little more: older buckets may have capitals and underscores.
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;

function refuse(url: string, detail: string): EmrError {
  return new EmrError('invalid_request', detail, { url });
}

function parseFile(url: string): StoreConfig {
  if (url.startsWith('file://')) {
    try {
      return { kind: 'file', root: fileURLToPath(url) };
    } catch (cause) {
      throw new EmrError('invalid_request', 'A file URL has an absolute path and no host.', { url }, { cause });
    }
  }
  const path = url.slice('file:'.length);
  if (path === '') throw refuse(url, 'A file store needs a folder: file:/absolute/path or file:relative/path.');
  return { kind: 'file', root: resolve(path) };
}

function parseS3(url: string, options: StoreUrlOptions): StoreConfig {
  const [bucket = '', ...rest] = url.slice('s3://'.length).split('/');
  const prefix = rest.join('/').replace(/\/$/, '');
  if (!BUCKET.test(bucket)) throw refuse(url, 'An S3 store is s3://bucket or s3://bucket/prefix.');
  if (prefix !== '' && !isKey(prefix)) throw refuse(url, 'The prefix of an S3 store has plain segments.');
  return {
    kind: 's3',
    bucket,
    prefix,
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.checksums === undefined ? {} : { checksums: options.checksums }),
  };
}

/** `file:/absolute`, `file:relative` (to the working directory), `file:///encoded%20url` or `s3://bucket/prefix`. */
export function parseStoreUrl(url: string, options: StoreUrlOptions = {}): StoreConfig {
  if (url.startsWith('file:')) return parseFile(url);
  if (url.startsWith('s3://')) return parseS3(url, options);
  throw refuse(url, 'A store is file:/absolute/path, file:relative/path or s3://bucket/prefix.');
}
