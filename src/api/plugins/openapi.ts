import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { refusals } from '../schemas/common.js';
import { DOCS_POLICY } from './security-headers.js';

type Transform = typeof jsonSchemaTransform;

/** The provider's transform, with what the route's scope says of it. */
const transformSchema: Transform = (options) => {
  const { scope, takes } = options.route.config ?? {};
  if (scope === undefined || scope === 'open')
    return transformBody({ ...options, schema: { ...options.schema, security: [] } });
  const response = {
    ...(options.schema.response as object),
    ...refusals(401, 403, 429),
    ...(takes === 'upload' ? refusals(411) : {}),
  };
  return transformBody({ ...options, schema: { ...options.schema, response, security: [{ key: [scope] }] } });
};

/** The provider's transform, and bodies that have one schema for each content type, which it does not know. */
const transformBody: Transform = (route) => {
  const content = (route.schema?.body as { content?: Record<string, { schema: z.ZodType }> } | undefined)?.content;
  if (content === undefined) return jsonSchemaTransform(route);
  const { body: _body, ...rest } = route.schema;
  const { schema, url } = jsonSchemaTransform({ ...route, schema: rest });
  const body = Object.fromEntries(
    Object.entries(content).map(([type, one]) => {
      const { $schema: _dialect, ...json } = z.toJSONSchema(one.schema, { io: 'input' });
      return [type, { schema: json }];
    }),
  );
  return { schema: { ...schema, body: { content: body } }, url };
};

/** The provider names each schema twice, as input and as output: what nothing refers to is left out. */
const transformObject: typeof jsonSchemaTransformObject = (document) => {
  const spec = jsonSchemaTransformObject(document) as { paths: object; components?: { schemas?: object } };
  const paths = JSON.stringify(spec.paths);
  const used = Object.entries(spec.components?.schemas ?? {}).filter(([name]) => paths.includes(`schemas/${name}"`));
  return { ...spec, components: { ...spec.components, schemas: Object.fromEntries(used) } } as ReturnType<
    typeof jsonSchemaTransformObject
  >;
};

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
        components: {
          securitySchemes: {
            key: {
              type: 'http',
              scheme: 'bearer',
              description:
                'A key of the namespace, of the scope that the route names or a wider one: `read`, `write`, `admin`. A ' +
                'server that has no keys wants none; it answers its own machine only.',
            },
          },
        },
      },
      transform: transformSchema,
      transformObject,
    });
    await app.register(async (docs) => {
      docs.addHook('onRoute', (route) => {
        route.config = { ...route.config, scope: 'open' };
      });
      await docs.register(swaggerUi, { routePrefix: '/docs', staticCSP: DOCS_POLICY });
    });
    app.get('/openapi.yaml', { config: { scope: 'open' }, schema: { hide: true } }, async (_request, reply) => {
      return reply.type('application/yaml').send(app.swagger({ yaml: true }));
    });
  },
  { name: 'openapi' },
);
