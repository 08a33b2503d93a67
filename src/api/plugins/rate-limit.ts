import rateLimiter from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';

const WINDOW_MS = 60_000;

/** Keys that are counted at a time; of the least recently used the count begins anew. */
const COUNTED_KEYS = 10_000;

/**
 * Counts the requests of each key in this process, after the key was looked at: nobody uses up what is another's. Without
 * keys everybody is of this machine, and is not counted.
 */
export const rateLimit = fp<{ requestsPerMinute: number }>(
  async (app, { requestsPerMinute }) => {
    await app.register(rateLimiter, {
      global: false,
      enableDraftSpec: true, // RateLimit-* without the X-
      timeWindow: WINDOW_MS,
      cache: COUNTED_KEYS,
      keyGenerator: ({ access }: FastifyRequest) => access.key,
      max: ({ access }: FastifyRequest) => access.limits.requests_per_minute ?? requestsPerMinute,
      errorResponseBuilder: (_request, { max, ttl }) => {
        const seconds = Math.ceil(ttl / 1000);
        return new EmrError('rate_limited', `The key has sent ${max} requests in a minute: wait ${seconds} s.`, {
          limit: max,
          retry_after: seconds,
        });
      },
    });
    const count = app.rateLimit();
    app.addHook('onRequest', async (request, reply) => {
      // null: an open route.
      if (request.access?.counted) await count.call(app, request, reply);
    });
  },
  { name: 'rate-limit', dependencies: ['auth'] },
);
