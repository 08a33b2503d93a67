import type { IncomingHttpHeaders } from 'node:http';

/** As URL writes them: 127.0.0.1 has many spellings. Names below localhost are this machine's (RFC 6761, 6.3). */
const LOOPBACK_NAME = /^(127(\.\d+){3}|\[::1\]|([^.]+\.)*localhost)$/;

/**
 * Whether a browser may have sent this for no other page than one of this machine. A page of anywhere can let a name of its
 * own mean 127.0.0.1, and then it is in `Host`; or send a form there without asking, and then it is in `Origin`.
 */
export function isOwnPage({ host, origin }: Pick<IncomingHttpHeaders, 'host' | 'origin'>): boolean {
  const asked = parsed(`http://${host}`);
  if (!LOOPBACK_NAME.test(asked?.hostname ?? '')) return false;
  return origin === undefined || parsed(origin)?.host === asked?.host;
}

const parsed = (url: string) => (URL.canParse(url) ? new URL(url) : undefined);
