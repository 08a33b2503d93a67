import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { EmrError } from '../errors.js';
import type { Address } from './addresses.js';

/** Of an answer; what a receiver or a hub says in its head is far below. */
const MAX_HEADER_BYTES = 16 * 1024;

export interface Exchange {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The most that is read of the answer's body; 0 waits for its head alone. */
  readonly maxBytes: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether there was (or may be) more than `maxBytes`. */
  readonly truncated: boolean;
}

export interface Connection {
  /** The only addresses that are connected to, whatever the name says by now. */
  readonly addresses: readonly Address[];
  /** Certificate authorities in place of Node's own. */
  readonly ca?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * One request on a connection of its own, to an address that was checked. The name stays that of the URL, in `Host`, in
 * SNI and for the certificate. Nothing is followed, and no proxy of the environment is asked. Rejects with what failed.
 */
export function exchange(url: URL, { method, headers, body, maxBytes }: Exchange, to: Connection): Promise<Answer> {
  const options: https.RequestOptions = {
    method,
    headers: { ...headers, ...(body ? { 'content-length': String(body.byteLength) } : {}) },
    agent: false,
    lookup: pinnedTo(to.addresses),
    maxHeaderSize: MAX_HEADER_BYTES,
    signal: to.signal,
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    ...(to.ca === undefined ? {} : { ca: to.ca }),
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, options, (response) => {
      readUpTo(response, maxBytes).then(
        (read) => resolve({ status: response.statusCode!, headers: response.headers, ...read }),
        reject,
      );
    });
    // After an answer was cut off this is heard too, and means nothing then.
    request.on('error', reject);
    request.end(body);
  });
}

/** In place of DNS: the addresses as they were checked. An address in place of a name is never looked up. */
function pinnedTo(addresses: readonly Address[]): LookupFunction {
  return (_name, options, done) => {
    if (options.all) done(null, [...addresses]);
    else done(null, addresses[0]!.address, addresses[0]!.family);
  };
}

async function readUpTo(response: http.IncomingMessage, limit: number): Promise<Pick<Answer, 'body' | 'truncated'>> {
  const parts: Buffer[] = [];
  let bytes = 0;
  if (limit > 0) {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.byteLength;
      if (bytes > limit) break;
    }
  }
  const truncated = limit === 0 || bytes > limit;
  if (truncated) response.destroy();
  else if (!response.complete) throw new EmrError('outbound_failed', 'The answer broke off.');
  return { body: Buffer.concat(parts).subarray(0, limit), truncated };
}
