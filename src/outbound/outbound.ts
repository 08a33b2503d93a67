import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { EmrError } from '../errors.js';
import { type Address, networkList, requireAllowed } from './addresses.js';
import { type Answer, type Exchange, exchange } from './exchange.js';
import { type AllowedHost, requireHost } from './hosts.js';

/** Name, connection, TLS, request and answer together. */
const DEFAULT_TIMEOUT_MS = 10_000;

export interface OutboundCall extends Exchange {
  /** Ends the call, beside its own time limit. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** The only way in which this program calls an address that a client gave. */
export interface Outbound {
  /** Refuses, without asking anybody, what `call` would refuse of the text alone: `invalid_request`, `outbound_not_allowed`. */
  check(url: string): URL;
  /**
   * One exchange. An answer is an answer, whatever its status; redirects are not followed. `outbound_not_allowed` if the
   * name has an address that is not called; `outbound_failed` with `reason` if there is no answer in time.
   */
  call(url: string, call: OutboundCall): Promise<Answer>;
}

export interface OutboundOptions {
  /** Nothing else is called. */
  readonly hosts: readonly AllowedHost[];
  /** Networks that may be called although they are not public, as CIDR. */
  readonly networks: readonly string[];
  /** All addresses of a name; the system's resolver unless a test says otherwise. */
  readonly resolve?: (hostname: string) => Promise<readonly Address[]>;
  readonly ca?: string;
}

export function createOutbound({ hosts, networks, resolve = resolveName, ca }: OutboundOptions): Outbound {
  const allowed = networkList(networks);
  const check = (text: string) => requireHost(text, hosts);

  const attempt = async (url: URL, call: OutboundCall, signal: AbortSignal): Promise<Answer> => {
    // Asked once: were the name resolved again to connect, it could have another address by then.
    const addresses = await addressesOf(url.hostname, resolve);
    requireAllowed(url.hostname, addresses, allowed);
    signal.throwIfAborted();
    return exchange(url, call, { addresses, ca, signal });
  };

  return {
    check,
    async call(text, call) {
      const url = check(text);
      const limit = new AbortController();
      const timer = setTimeout(() => limit.abort(new Timeout()), call.timeoutMs ?? DEFAULT_TIMEOUT_MS);
      const abort = () => limit.abort(call.signal?.reason);
      call.signal?.addEventListener('abort', abort, { once: true });
      if (call.signal?.aborted) abort();
      const aborted = new Promise<never>((_resolve, reject) => {
        limit.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true });
      });
      aborted.catch(() => {});
      try {
        limit.signal.throwIfAborted();
        // A resolver cannot be told to stop: it is left to itself.
        return await Promise.race([attempt(url, call, limit.signal), aborted]);
      } catch (error) {
        call.signal?.throwIfAborted();
        throw failed(url, limit.signal.aborted ? limit.signal.reason : error);
      } finally {
        clearTimeout(timer);
        call.signal?.removeEventListener('abort', abort);
      }
    },
  };
}

class Timeout extends Error {
  readonly code = 'timeout';
}

async function addressesOf(
  hostname: string,
  resolve: NonNullable<OutboundOptions['resolve']>,
): Promise<readonly Address[]> {
  const literal = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(literal);
  return family === 0 ? resolve(hostname) : [{ address: literal, family }];
}

const resolveName = (hostname: string): Promise<readonly Address[]> => lookup(hostname, { all: true, verbatim: true });

/** Never the path or query of the URL, which may hold a receiver's token. */
function failed(url: URL, cause: unknown): EmrError {
  if (cause instanceof EmrError) return cause;
  const { code } = cause as { code?: unknown };
  const reason = typeof code === 'string' ? code : 'error';
  return new EmrError(
    'outbound_failed',
    `${url.host} gave no answer: ${reason}.`,
    { host: url.host, reason },
    { cause },
  );
}
