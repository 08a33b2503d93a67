import { S3Client } from '@aws-sdk/client-s3';
import type { StoreConfig } from './types.js';

export type S3Config = StoreConfig & { kind: 's3' };

/** A bucket, the client for it, and how keys of the store become keys of the bucket. */
export interface Bucket {
  readonly client: S3Client;
  readonly name: string;
  /** The bucket's key (or prefix) for one of the store. */
  key(key: string): string;
  /** The store's key for one of the bucket. */
  strip(key: string): string;
}

/** Enough for the readers and writers of one process; without a limit each slow body would hold one more socket. */
const MAX_SOCKETS = 64;
const CONNECTION_TIMEOUT_MS = 5_000;
/** A socket on which nothing moves. Joining the parts of a large object can take a minute in which nothing is sent. */
const IDLE_TIMEOUT_MS = 120_000;
/** The SDK's default of 3, with its pauses below a second, gives up before a server has restarted. */
const MAX_ATTEMPTS = 5;
const DEFAULT_REGION = 'us-east-1';

/** The region that the SDK finds in its own variables and files; other servers than AWS mostly need none. */
async function regionOrDefault(): Promise<string> {
  const client = new S3Client({});
  try {
    return await client.config.region();
  } catch {
    return DEFAULT_REGION;
  } finally {
    client.destroy();
  }
}

export function openBucket(config: S3Config): Bucket {
  const checksums = config.checksums === 'when_required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED';
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  let region: Promise<string> | undefined;
  const client = new S3Client({
    region: () => {
      region ??= regionOrDefault(); // it is asked for several times a request
      return region;
    },
    maxAttempts: MAX_ATTEMPTS,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    requestHandler: {
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      socketTimeout: IDLE_TIMEOUT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
    // Servers other than AWS seldom have a host name per bucket.
    ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint, forcePathStyle: true }),
  });
  const before = config.prefix === '' ? '' : `${config.prefix}/`;
  return {
    client,
    name: config.bucket,
    key: (key) => before + key,
    strip: (key) => key.slice(before.length),
  };
}
