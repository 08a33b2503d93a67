import type { FastifyInstance, HTTPMethods } from 'fastify';
import { EmrError } from '../../errors.js';

interface Known {
  readonly methods: Set<string>;
  open: boolean;
}

/**
 * Answers the methods that an address does not have: 405 with those that it has (RFC 9110, 15.5.6), and OPTIONS with
 * these alone. They are routes like others, so that the router finds them and a key is asked for first; what they say
 * is the same for every key and whatever is there.
 *
 * Called before the first route; what it gives is called after the last.
 */
export function otherMethods(app: FastifyInstance): () => void {
  const known = new Map<string, Known>();
  app.addHook('onRoute', ({ url, method, config }) => {
    const entry = known.get(url) ?? { methods: new Set(), open: false };
    for (const one of [method].flat()) entry.methods.add(one);
    if (config?.scope === 'open') entry.open = true;
    known.set(url, entry);
  });
  return () => {
    for (const [url, { methods, open }] of [...known]) {
      const others = app.supportedMethods.filter((method) => !methods.has(method)) as HTTPMethods[];
      if (others.length > 0) addOthers(app, { url, others, allow: [...methods, 'OPTIONS'].join(', '), open });
    }
  };
}

interface Others {
  readonly url: string;
  readonly others: HTTPMethods[];
  readonly allow: string;
  readonly open: boolean;
}

function addOthers(app: FastifyInstance, { url, others, allow, open }: Others): void {
  app.route({
    url,
    method: others,
    config: { scope: open ? 'open' : 'read' },
    schema: { hide: true },
    // Here, before a body would be read.
    onRequest: async ({ method }, reply) => {
      reply.header('allow', allow);
      if (method === 'OPTIONS') return reply.status(204).send();
      throw new EmrError('method_not_allowed', `This address does not answer to ${method}, only to ${allow}.`, {
        allow,
      });
    },
    handler: (_request, reply) => reply,
  });
}
