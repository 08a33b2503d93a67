import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';

/** `/openapi.yaml` and `/docs`, generated from the routes' zod schemas. Registered before the routes. */
export const openapi = fp<{ version: string }>(
  async (app, { version }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'emr-merge',
          version,
          description:
            'Merges many fine-tunes of one model into one task vector plus a 1-bit mask and a scalar per task, ' +
            'and streams any task back. Errors are application/problem+json with a stable `code`.',
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
        },
        components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
        security: [{}, { key: [] }],
      },
      transform: createJsonSchemaTransform({ skipList: [] }),
    });
    await app.register(swaggerUi, { routePrefix: '/docs' });
    app.get('/openapi.yaml', { schema: { hide: true } }, async (_request, reply) => {
      return reply.type('application/yaml').send(app.swagger({ yaml: true }));
    });
  },
  { name: 'openapi' },
);
