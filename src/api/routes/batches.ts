import { z } from 'zod';
import { type BatchFact, MAX_REFUSALS } from '../../catalog/batches.js';
import { limitedRecord } from '../../merge/limited-record.js';
import { MAX_TASKS } from '../../merge/max-tasks.js';
import { mergeRequest, name } from '../../merge/request.js';
import { expandSweep, MAX_MERGES, sweepGrid, sweepTemplate } from '../../merge/sweep.js';
import type { Access } from '../../scopes.js';
import type { Services } from '../../services.js';
import { batchResults, resultRow, resultsTable } from '../batch-results.js';
import { viewMerge } from '../merge-view.js';
import type { TakenMerges } from '../plugins/quotas.js';
import { requireRoom } from '../queue-room.js';
import { batchId, refusals } from '../schemas/common.js';
import { mergeView, webhook } from '../schemas/merge.js';
import type { Api } from '../types.js';
import { requireWebhook } from '../webhook-room.js';

const evaluate = limitedRecord(MAX_TASKS.ceiling, name, name)
  .optional()
  .describe('A labelled data set for each task to evaluate, by a job for each merge when it has succeeded.');

const batchRequest = z.union([
  z.strictObject({
    merges: z
      .array(mergeRequest.meta({ id: 'MergeRequest' }))
      .min(1)
      .max(MAX_MERGES),
    evaluate,
    webhook: webhook.optional(),
  }),
  z.strictObject({
    template: sweepTemplate.meta({ id: 'SweepTemplate' }),
    grid: sweepGrid,
    evaluate,
    webhook: webhook.optional(),
  }),
]);

const batchView = z
  .object({
    id: z.string(),
    created_at: z.iso.datetime(),
    merges: z.array(mergeView),
    evaluate: z.record(z.string(), z.string()).optional(),
  })
  .meta({ id: 'Batch' });

type BatchBody = z.output<typeof batchRequest>;

/** The merges of a batch, and how many runs they are with the jobs that evaluate each. */
function takenBy(body: BatchBody): TakenMerges {
  const merges = 'merges' in body ? body.merges : expandSweep(body.template, body.grid);
  return { merges, runs: merges.length * (1 + Object.keys(body.evaluate ?? {}).length) };
}

export function batchRoutes(app: Api, services: Services): void {
  const { batches, merges, submitter, webhooks } = services;
  const byId = z.strictObject({ id: batchId });
  const view = async (access: Access, { merges: ids, ...batch }: BatchFact) => {
    const found = await Promise.all(ids.map((merge) => merges.find(access.namespace, merge)));
    const present = found.filter((fact) => fact !== undefined); // a merge may have been deleted since
    return { ...batch, merges: await Promise.all(present.map((fact) => viewMerge(services, access.namespace, fact))) };
  };

  app.post(
    '/v1/batches',
    {
      config: { scope: 'write', takes: (body) => takenBy(body as BatchBody) },
      schema: {
        tags: ['batches'],
        summary: 'Many merges in one call',
        description:
          'A list, or a sweep: a template and a grid of methods and parameters. All or none: if one request is refused, ' +
          `none is accepted and the refusals are listed, up to ${MAX_REFUSALS}. A webhook is told of the end of each merge.`,
        body: batchRequest,
        response: { 202: batchView, ...refusals(400, 403, 404, 409, 413, 422, 503) },
      },
    },
    async ({ body, access }, reply) => {
      const { merges: requests, runs } = takenBy(body);
      await submitter.requireBatch(access.namespace, requests);
      await requireRoom(services, runs, () => batches.countFresh(access.namespace, requests, body.evaluate));
      await requireWebhook(services, access.namespace, requests, body.webhook?.url);
      const fact = await batches.submit(access.namespace, requests, body.evaluate);
      for (const merge of fact.merges) await webhooks.expect(access.namespace, merge, body.webhook?.url);
      return reply
        .status(202)
        .header('location', `/v1/batches/${fact.id}`)
        .send(await view(access, fact));
    },
  );

  app.get(
    '/v1/batches/:id',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['batches'],
        summary: 'All merges of a batch',
        params: byId,
        response: { 200: batchView, ...refusals(400, 404) },
      },
    },
    async ({ params, access }) => view(access, await batches.get(access.namespace, params.id)),
  );

  app.get(
    '/v1/batches/:id/results',
    {
      config: { scope: 'read', place: 'downloads' },
      schema: {
        tags: ['batches'],
        summary: 'How the merges of a batch did, as one table',
        description: 'One row for each merge: method, state, accuracies, distance and bytes. CSV is that of RFC 4180.',
        params: byId,
        querystring: z.strictObject({ format: z.enum(['json', 'csv']).default('json') }),
        produces: ['application/json', 'text/csv'],
        response: { 200: z.union([z.object({ items: z.array(resultRow) }), z.string()]), ...refusals(400, 404, 503) },
      },
    },
    async ({ params, query, access }, reply) => {
      const batch = await batches.get(access.namespace, params.id);
      const items = await batchResults(services, access.namespace, batch);
      if (query.format === 'json') return reply.send({ items });
      const table = resultsTable(items, batch.evaluate ?? {});
      reply.type('text/csv; charset=utf-8; header=present').serializer((text: string) => text);
      return reply.send(table);
    },
  );
}
