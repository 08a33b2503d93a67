import fp from 'fastify-plugin';

const READS = new Set(['read', 'open']);

/** One line for every request that would write, also for those that were refused: who, what, which object, and how it ended. */
export const audit = fp(
  async (app) => {
    app.onRequestEnd((request, reply, sent) => {
      const { config, url } = request.routeOptions;
      if (url === undefined || READS.has(config.scope ?? 'read')) return;
      const { access, params } = request;
      request.log.info(
        {
          audit: {
            key: access?.key ?? null,
            namespace: access?.namespace ?? null,
            action: `${request.method} ${url}`,
            object: reply.getHeader('location') ?? params,
            status: reply.statusCode,
            ...(request.refusal === null ? {} : { code: request.refusal }),
            ...(sent ? {} : { aborted: true }), // the client does not know
          },
        },
        'audit',
      );
    });
  },
  { name: 'audit', dependencies: ['auth', 'request-end'] },
);
