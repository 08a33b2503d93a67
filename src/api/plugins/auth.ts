import type { RouteOptions } from 'fastify';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';
import { type KeyScope, requireScope } from '../../scopes.js';
import type { Admitted, Guard } from '../guard.js';
import { isOwnPage } from '../own-page.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a key needs to use the route; `open` answers without one. Every route has to say. */
    scope?: KeyScope | 'open';
  }
  interface FastifyRequest {
    /** Whose request it is; on open routes nobody has looked. */
    access: Admitted;
  }
}

/** Looks at the key of every request before anything else of it is read, by the scope that its route asks for. */
export const auth = fp<{ guard: Guard }>(
  async (app, { guard }) => {
    const routes: RouteOptions[] = [];
    app.addHook('onRoute', (route) => void routes.push(route));
    app.addHook('onReady', async () => requireScopes(routes));
    app.decorateRequest('access', null as unknown as Admitted);

    // By the route that was found: an address can be spelled in many ways. Where there is none, one has to have a key.
    app.addHook('onRequest', async (request) => {
      const { scope = 'read' } = request.routeOptions.config;
      if (scope === 'open') return;
      const access = await guard.admit(request.headers.authorization);
      if (access === undefined) {
        throw new EmrError('unauthorized', 'Send a key of this server as Authorization: Bearer <key>.');
      }
      if (access.key === 'none' && !isOwnPage(request.headers)) {
        throw new EmrError(
          'forbidden',
          'A server without keys answers to addresses and pages of its own machine only.',
        );
      }
      request.access = access;
      requireScope(access, scope);
    });
  },
  { name: 'auth' },
);

/** A server with a route that nobody thought about does not start. */
function requireScopes(routes: readonly RouteOptions[]): void {
  const without = routes.filter(({ config }) => config?.scope === undefined);
  if (without.length === 0) return;
  const names = without.map(({ method, url }) => `${String(method)} ${url}`).join(', ');
  throw new Error(`These routes do not say which scope they need (config.scope): ${names}`);
}
