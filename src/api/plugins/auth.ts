import { createHash, timingSafeEqual } from 'node:crypto';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';

export interface AuthOptions {
  readonly keys: readonly string[];
}

const digest = (text: string) => createHash('sha256').update(text).digest();

/** With keys configured, every `/v1` route needs `Authorization: Bearer <key>`. */
export const auth = fp<AuthOptions>(
  async (app, { keys }) => {
    if (keys.length === 0) return;
    const known = keys.map(digest);
    app.addHook('onRequest', async (request, reply) => {
      if (!request.url.startsWith('/v1/')) return;
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
