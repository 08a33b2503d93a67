import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';

/** What a request may take that there is only so much of. */
export type PlaceKind = 'uploads' | 'reconstructions' | 'downloads';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A request of this route holds a place from its start until its answer is known or, if that is a file, has been sent. */
    place?: PlaceKind;
  }
}

export type Places = Readonly<Record<PlaceKind, number>>;

/**
 * Each upload, reconstruction and reading of stored files holds buffers and a share of a core for as long as it lasts.
 * Beyond so many at once all would be slow and memory without bound: who comes too many is asked to come again, before
 * anything is read of him.
 */
export const places = fp<{ limits: Places }>(
  async (app, { limits }) => {
    const holders = new Map<FastifyRequest, () => void>();
    const taken: Record<PlaceKind, number> = { uploads: 0, reconstructions: 0, downloads: 0 };
    app.addHook('onRequest', async (request) => {
      const { place } = request.routeOptions.config;
      if (place === undefined || request.method === 'HEAD') return;
      if (taken[place] >= limits[place]) {
        throw new EmrError('overloaded', `This server takes ${limits[place]} ${place} at once; try again in a while.`, {
          limit: limits[place],
        });
      }
      taken[place] += 1;
      const leave = () => {
        if (holders.delete(request)) taken[place] -= 1;
      };
      holders.set(request, leave);
    });
    app.onRequestEnd((request) => holders.get(request)?.());
    // Before the answer leaves: who has it may come again at once, and finds his place free.
    app.addHook('onSend', async (request, _reply, payload) => {
      if (!(payload instanceof Readable)) holders.get(request)?.();
    });
  },
  { name: 'places', dependencies: ['request-end'] },
);
