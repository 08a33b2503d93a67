import { EmrError } from '../errors.js';

/** One entry of the allow-list. */
export interface AllowedHost {
  readonly protocol: 'https:' | 'http:';
  /** As URLs have it: lower case, ASCII; without the `*.` of a wildcard. */
  readonly hostname: string;
  readonly port: string;
  /** Whether it stands for every name below `hostname`, and not for `hostname` itself. */
  readonly wildcard: boolean;
}

/** Long enough for any receiver's token in a path; what is longer is no address that a person gave. */
export const MAX_URL_LENGTH = 2_048;

const ENTRY = /^(?:(https?):\/\/)?(\*\.)?([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;

/**
 * `hooks.example.org` (https, port 443), `*.example.org:8443`, or, where it must be without TLS,
 * `http://receiver.internal:9000`. Throws an Error if it is none of these.
 */
export function parseAllowedHost(entry: string): AllowedHost {
  const [, scheme = 'https', wildcard, host, port] = ENTRY.exec(entry) ?? [];
  const text = `${scheme}://${host}${port === undefined ? '' : `:${port}`}`;
  if (host === undefined || !URL.canParse(text)) throw new Error(`${entry} is no host`);
  const url = new URL(text);
  const protocol = scheme.toLowerCase() === 'http' ? 'http:' : 'https:';
  return { protocol, hostname: url.hostname, port: url.port, wildcard: wildcard !== undefined };
}

/** The URL, if it may be called: `invalid_request` if it is none, `outbound_not_allowed` if its host is not listed. */
export function requireHost(text: string, allowed: readonly AllowedHost[]): URL {
  if (text.length > MAX_URL_LENGTH || !URL.canParse(text)) {
    throw new EmrError('invalid_request', `An address to call is a URL of at most ${MAX_URL_LENGTH} characters.`);
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw new EmrError('invalid_request', 'An address to call has no user name and no password in it.');
  }
  if (allowed.some((entry) => matches(entry, url))) return url;
  throw new EmrError(
    'outbound_not_allowed',
    `${url.origin} is none of the hosts that the operator of this server lets it call.`,
    { origin: url.origin },
  );
}

function matches({ protocol, hostname, port, wildcard }: AllowedHost, url: URL): boolean {
  if (url.protocol !== protocol || url.port !== port) return false;
  return wildcard ? url.hostname.endsWith(`.${hostname}`) : url.hostname === hostname;
}
