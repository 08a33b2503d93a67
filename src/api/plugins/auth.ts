import { createHash, timingSafeEqual } from 'node:crypto';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';

export interface AuthOptions {
  readonly keys: readonly string[];
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** What answers without a key: by the route that was found, since an address can be spelled in many ways. */
const OPEN = /^\/(healthz|readyz|metrics|openapi\.yaml|docs(\/.*)?)$/;

/** With keys configured, everything but health and documentation needs `Authorization: Bearer <key>`. */
export const auth = fp<AuthOptions>(
  async (app, { keys }) => {
    if (keys.length === 0) return;
    const known = keys.map(digest);
    app.addHook('onRequest', async (request, reply) => {
      if (OPEN.test(request.routeOptions.url ?? '')) return;
      const [scheme, key] = (request.headers.authorization ?? '').split(' ');
      // Digests have one length, so that the comparison takes the same time whatever was sent.
      const given = digest(key ?? '');
      const valid = known.map((one) => timingSafeEqual(one, given)).includes(true);
      if (scheme?.toLowerCase() === 'bearer' && valid) return;
      reply.header('www-authenticate', 'Bearer');
      throw new EmrError('unauthorized', 'Send a key of this server as Authorization: Bearer <key>.');
    });
  },
  { name: 'auth' },
);
