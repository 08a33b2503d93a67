import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';

/** Weights are incompressible, and a bomb must not be unpacked: what is sent is what is read and stored, on every route. */
export const identity = fp(
  async (app) => {
    app.addHook('onRequest', async ({ headers }) => {
      const encoding = headers['content-encoding'];
      if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
      throw new EmrError('unsupported_media_type', `Send the body without Content-Encoding ${encoding}.`);
    });
  },
  { name: 'identity' },
);
