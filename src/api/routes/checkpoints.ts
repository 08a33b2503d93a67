import { z } from 'zod';
import { requireUnused } from '../../merge/usage.js';
import type { Services } from '../../services.js';
import { checkpointView, viewCheckpoint } from '../schemas/checkpoint.js';
import { listOf, name, nothing, pageByName, refusals } from '../schemas/common.js';
import type { Api } from '../types.js';

const byName = z.strictObject({ name });

export function checkpointRoutes(app: Api, { checkpoints, merges, jobs }: Services): void {
  app.get(
    '/v1/checkpoints',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['checkpoints'],
        summary: 'All checkpoints, in order of name',
        querystring: pageByName,
        response: { 200: listOf(checkpointView), ...refusals(400) },
      },
    },
    async ({ query, access }) => {
      const after = query.cursor === undefined ? {} : { after: query.cursor };
      const page = { ...after, limit: query.limit };
      const { items, more } = await checkpoints.list(access.namespace, page, viewCheckpoint);
      return { items, ...(more ? { next_cursor: items.at(-1)!.name } : {}) };
    },
  );

  app.get(
    '/v1/checkpoints/:name',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['checkpoints'],
        summary: 'One checkpoint',
        params: byName,
        response: { 200: checkpointView, ...refusals(400, 404) },
      },
    },
    async ({ params, access }) => viewCheckpoint(await checkpoints.get(access.namespace, params.name)),
  );

  app.delete(
    '/v1/checkpoints/:name',
    {
      config: { scope: 'admin' },
      schema: {
        tags: ['checkpoints'],
        summary: 'Delete a checkpoint and the files that were uploaded for it',
        description:
          'Refused while an unfinished merge or job reads it, and while it is the base that a finished merge is rebuilt from; ' +
          '`force=true` deletes it in the second case. Files registered in place are left alone.',
        params: byName,
        querystring: z.strictObject({
          force: z
            .stringbool()
            .default(false)
            .meta({ enum: ['true', 'false'] }),
        }),
        response: { 204: nothing, ...refusals(400, 404, 409) },
      },
    },
    async ({ params, query, access }, reply) => {
      await requireUnused({ merges, jobs, checkpoints }, access.namespace, params.name, query.force);
      await checkpoints.delete(access.namespace, params.name);
      return reply.status(204).send();
    },
  );
}
