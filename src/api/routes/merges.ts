import { Readable } from 'node:stream';
import { z } from 'zod';
import { EmrError } from '../../errors.js';
import { mergeRequest } from '../../merge/request.js';
import type { Services } from '../../services.js';
import { viewMerge } from '../merge-view.js';
import { viewPlan } from '../plan-view.js';
import { runEvents } from '../run-events.js';
import { listNewest } from '../run-list.js';
import { idOrName, listOf, NAMESPACE, nothing, page, refusals } from '../schemas/common.js';
import { mergeView, planView } from '../schemas/merge.js';
import type { Api } from '../types.js';

const byId = z.strictObject({ id: idOrName });

export function mergeRoutes(app: Api, services: Services): void {
  const { merges, submitter, lifecycle, store, config } = services;
  const tags = ['merges'];
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  app.post(
    '/v1/merges/plan',
    {
      schema: {
        tags,
        summary: 'What a merge would do: classes, conflicts, sizes, memory',
        description: 'Reads headers only and stores nothing. All conflicts are listed at once.',
        body: mergeRequest,
        response: { 200: planView, ...refusals(400, 404) },
      },
    },
    async ({ body }) => viewPlan(await submitter.plan(NAMESPACE, body), store, config.threads),
  );

  app.post(
    '/v1/merges',
    {
      schema: {
        tags,
        summary: 'Merge checkpoints',
        description:
          'The same request on the same checkpoints is the same merge: the second answer is 200 with the first merge. ' +
          'One that failed or was cancelled is run again; until then its name is free for another merge.',
        body: mergeRequest,
        response: { 202: mergeView, 200: mergeView, ...refusals(400, 404, 409, 422) },
      },
    },
    async ({ body }, reply) => {
      const { fact, created } = await submitter.submit(NAMESPACE, body);
      reply.header('location', `/v1/merges/${fact.id}`);
      return reply.status(created ? 202 : 200).send(await viewMerge(services, NAMESPACE, fact));
    },
  );

  app.get(
    '/v1/merges',
    {
      schema: {
        tags,
        summary: 'All merges, newest first',
        querystring: page,
        response: { 200: listOf(mergeView), ...refusals(400) },
      },
    },
    async ({ query }) => listNewest(merges.all(NAMESPACE), (fact) => viewMerge(services, NAMESPACE, fact), query),
  );

  app.get(
    '/v1/merges/:id',
    { schema: { tags, summary: 'One merge', params: byId, response: { 200: mergeView, ...refusals(400, 404) } } },
    async ({ params }) => viewMerge(services, NAMESPACE, await merges.get(NAMESPACE, params.id)),
  );

  app.get(
    '/v1/merges/:id/events',
    {
      schema: {
        tags,
        summary: 'Progress as server-sent events',
        description: '`progress` events with the merge, then one of `succeeded`, `failed`, `cancelled`.',
        params: byId,
        produces: ['text/event-stream'],
        response: { 200: z.string(), ...refusals(400, 404) },
      },
    },
    async ({ params }, reply) => {
      const fact = await merges.get(NAMESPACE, params.id);
      const events = Readable.from(runEvents(() => viewMerge(services, NAMESPACE, fact), closing.signal));
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('text/event-stream');
      // A stream passes the serializer by; the schema's type does not know that.
      return reply.send(events as unknown as string);
    },
  );

  app.post(
    '/v1/merges/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a merge that has not ended',
        params: byId,
        response: { 200: mergeView, ...refusals(400, 404, 409) },
      },
    },
    async ({ params }) => {
      const fact = await merges.get(NAMESPACE, params.id);
      await lifecycle.cancel(NAMESPACE, fact.id);
      return viewMerge(services, NAMESPACE, fact);
    },
  );

  app.delete(
    '/v1/merges/:id',
    {
      schema: {
        tags,
        summary: 'Delete a merge that has ended, with all its files',
        params: byId,
        response: { 204: nothing, ...refusals(400, 404, 409) },
      },
    },
    async ({ params }, reply) => {
      const fact = await merges.get(NAMESPACE, params.id);
      if ((await merges.outcome(NAMESPACE, fact.id)).state === 'open') {
        throw new EmrError('merge_running', 'Cancel the merge first.', { merge: fact.id });
      }
      await merges.delete(NAMESPACE, fact);
      return reply.status(204).send();
    },
  );
}
