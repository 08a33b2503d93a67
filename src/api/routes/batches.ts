import { z } from 'zod';
import type { BatchFact } from '../../catalog/batches.js';
import { mergeRequest } from '../../merge/request.js';
import type { Services } from '../../services.js';
import { viewMerge } from '../merge-view.js';
import { batchId, NAMESPACE, refusals } from '../schemas/common.js';
import { mergeView } from '../schemas/merge.js';
import type { Api } from '../types.js';

/** Enough for a sweep; more are more batches. */
const MAX_MERGES = 1_000;

const batchView = z
  .object({ id: z.string(), created_at: z.iso.datetime(), merges: z.array(mergeView) })
  .meta({ id: 'Batch' });

export function batchRoutes(app: Api, services: Services): void {
  const { batches, merges } = services;
  const view = async ({ id, created_at, merges: ids }: BatchFact) => {
    const found = await Promise.all(ids.map((merge) => merges.find(NAMESPACE, merge)));
    const present = found.filter((fact) => fact !== undefined); // a merge may have been deleted since
    return { id, created_at, merges: await Promise.all(present.map((fact) => viewMerge(services, NAMESPACE, fact))) };
  };

  app.post(
    '/v1/batches',
    {
      schema: {
        tags: ['batches'],
        summary: 'Many merges in one call',
        description: 'All or none: if one request is refused, none is accepted and every refusal is listed.',
        body: z.strictObject({ merges: z.array(mergeRequest).min(1).max(MAX_MERGES) }),
        response: { 202: batchView, ...refusals(400, 404, 409, 422) },
      },
    },
    async ({ body }, reply) => {
      const fact = await batches.submit(NAMESPACE, body.merges);
      return reply
        .status(202)
        .header('location', `/v1/batches/${fact.id}`)
        .send(await view(fact));
    },
  );

  app.get(
    '/v1/batches/:id',
    {
      schema: {
        tags: ['batches'],
        summary: 'All merges of a batch',
        params: z.strictObject({ id: batchId }),
        response: { 200: batchView, ...refusals(400, 404) },
      },
    },
    async ({ params }) => view(await batches.get(NAMESPACE, params.id)),
  );
}
