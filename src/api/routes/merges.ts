import { Readable } from 'node:stream';
import { z } from 'zod';
import { MAX_LISTED } from '../../merge/listed.js';
import { mergeRequest } from '../../merge/request.js';
import type { Services } from '../../services.js';
import { viewMerge } from '../merge-view.js';
import { viewPlan } from '../plan-view.js';
import { requireRoom } from '../queue-room.js';
import { runEvents } from '../run-events.js';
import { listNewest } from '../run-list.js';
import { idOrName, listOf, nothing, pageByTime, refusals, runEvent } from '../schemas/common.js';
import { type MergeView, mergeBody, mergeView, planView } from '../schemas/merge.js';
import { createSharedLooks } from '../shared-look.js';
import type { Api } from '../types.js';
import { requireWebhook } from '../webhook-room.js';

const byId = z.strictObject({ id: idOrName });

export function mergeRoutes(app: Api, services: Services): void {
  const { merges, submitter, lifecycle, store, config, webhooks } = services;
  const tags = ['merges'];
  const shared = createSharedLooks<MergeView>();
  const lookAt = (namespace: string, id: string) =>
    shared(`${namespace}/${id}`, async () => viewMerge(services, namespace, await merges.get(namespace, id)));
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  app.post(
    '/v1/merges/plan',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'What a merge would do: classes, conflicts, sizes, memory',
        description: `Reads headers only and stores nothing. All conflicts are listed at once, up to ${MAX_LISTED}.`,
        body: mergeRequest,
        response: { 200: planView, ...refusals(400, 404, 413) },
      },
    },
    async ({ body, access }) => viewPlan(await submitter.plan(access.namespace, body), store, config.threads),
  );

  app.post(
    '/v1/merges',
    {
      config: { scope: 'write', takes: (body) => ({ merges: [body as z.output<typeof mergeBody>], runs: 1 }) },
      schema: {
        tags,
        summary: 'Merge checkpoints',
        description:
          'The same request on the same checkpoints is the same merge: the second answer is 200 with the first merge. ' +
          'One that failed or was cancelled is run again; until then its name is free for another merge.',
        body: mergeBody,
        response: { 202: mergeView, 200: mergeView, ...refusals(400, 403, 404, 409, 413, 422, 503) },
      },
    },
    async ({ body: { webhook, ...request }, access }, reply) => {
      await requireRoom(services, 1, async () => ((await submitter.isKnown(access.namespace, request)) ? 0 : 1));
      await requireWebhook(services, access.namespace, [request], webhook?.url);
      const { fact, created } = await submitter.submit(access.namespace, request);
      await webhooks.expect(access.namespace, fact.id, webhook?.url);
      reply.header('location', `/v1/merges/${fact.id}`);
      return reply.status(created ? 202 : 200).send(await viewMerge(services, access.namespace, fact));
    },
  );

  app.get(
    '/v1/merges',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'All merges, newest first',
        querystring: pageByTime,
        response: { 200: listOf(mergeView), ...refusals(400) },
      },
    },
    async ({ query, access }) =>
      listNewest(merges.all(access.namespace), (fact) => viewMerge(services, access.namespace, fact), query),
  );

  app.get(
    '/v1/merges/:id',
    {
      config: { scope: 'read' },
      schema: { tags, summary: 'One merge', params: byId, response: { 200: mergeView, ...refusals(400, 404) } },
    },
    async ({ params, access }) => lookAt(access.namespace, params.id),
  );

  app.get(
    '/v1/merges/:id/events',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Progress as server-sent events',
        description: '`progress` events with the merge, then one of `succeeded`, `failed`, `cancelled`.',
        params: byId,
        produces: ['text/event-stream'],
        response: { 200: runEvent, ...refusals(400, 404) },
      },
    },
    async ({ params, access }, reply) => {
      const fact = await merges.get(access.namespace, params.id);
      const events = Readable.from(runEvents(() => lookAt(access.namespace, fact.id), closing.signal));
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('text/event-stream');
      // A stream passes the serializer by; the schema's type does not know that.
      return reply.send(events as unknown as z.output<typeof runEvent>);
    },
  );

  app.post(
    '/v1/merges/:id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        summary: 'Cancel a merge that has not ended',
        params: byId,
        response: { 200: mergeView, ...refusals(400, 404, 409) },
      },
    },
    async ({ params, access: { namespace }, log }) => {
      const fact = await merges.get(namespace, params.id);
      await lifecycle.cancel(namespace, fact.id);
      // No worker may have had it. What cannot be queued now is found by the reconciler.
      await webhooks
        .follow(namespace, fact.id)
        .catch((err: unknown) => log.warn({ err, merge: fact.id }, 'webhooks are not queued yet'));
      return viewMerge(services, namespace, fact);
    },
  );

  app.delete(
    '/v1/merges/:id',
    {
      config: { scope: 'admin' },
      schema: {
        tags,
        summary: 'Delete a merge that has ended, with all its files',
        params: byId,
        response: { 204: nothing, ...refusals(400, 404, 409) },
      },
    },
    async ({ params, access }, reply) => {
      const fact = await merges.get(access.namespace, params.id);
      await merges.delete(access.namespace, fact);
      return reply.status(204).send();
    },
  );
}
