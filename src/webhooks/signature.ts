/** Signatures of webhooks as the Standard Webhooks specification has them (symmetric, `v1`). */
import { createHmac } from 'node:crypto';

/** 192 to 512 bits, as the specification asks. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** The key in `whsec_<base64>`; throws an Error, which does not repeat it, if it is none. */
export function parseSecret(text: string): Buffer {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const key = Buffer.from(base64, 'base64');
  if (key.byteLength >= MIN_SECRET_BYTES && key.byteLength <= MAX_SECRET_BYTES) return key;
  throw new Error(`a secret is whsec_ and then ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} bytes in base64`);
}

/**
 * The headers that go with a body. The signature covers id and time too, so that neither can be changed and an old
 * message not be sent again; with several secrets there are several, of which a receiver needs to accept one.
 * @param at milliseconds; the header has seconds
 */
export function signatureHeaders(
  secrets: readonly Buffer[],
  id: string,
  at: number,
  body: string,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(at / 1000));
  const signatures = secrets.map((secret) => {
    return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
