import { Readable } from 'node:stream';
import { z } from 'zod';
import { jobRequest } from '../../models/request.js';
import type { Services } from '../../services.js';
import { viewJob } from '../job-view.js';
import { requireRoom } from '../queue-room.js';
import { runEvents } from '../run-events.js';
import { listNewest } from '../run-list.js';
import { idOrName, jobId, listOf, nothing, pageByTime, refusals, runEvent } from '../schemas/common.js';
import { evaluationView, jobView } from '../schemas/job.js';
import type { Api } from '../types.js';

const byId = z.strictObject({ id: jobId });

/** Jobs run models: evaluation, and the statistics and coefficients that some methods take. */
export function jobRoutes(app: Api, services: Services): void {
  const { jobs, jobSubmitter, jobLifecycle, merges, evaluations } = services;
  const tags = ['jobs'];
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  app.post(
    '/v1/jobs',
    {
      config: { scope: 'write', takes: 'job' },
      schema: {
        tags,
        summary: 'Run a model over a data set',
        description:
          'The same request on the same checkpoints is the same job: the second answer is 200 with the first job. ' +
          'One that failed or was cancelled is run again.',
        body: jobRequest,
        response: { 202: jobView, 200: jobView, ...refusals(400, 404, 409, 422, 503) },
      },
    },
    async ({ body, access }, reply) => {
      await requireRoom(services, 1, async () => ((await jobSubmitter.isKnown(access.namespace, body)) ? 0 : 1));
      const { fact, created } = await jobSubmitter.submit(access.namespace, body);
      reply.header('location', `/v1/jobs/${fact.id}`);
      return reply.status(created ? 202 : 200).send(await viewJob(services, access.namespace, fact));
    },
  );

  app.get(
    '/v1/jobs',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'All jobs, newest first',
        querystring: pageByTime,
        response: { 200: listOf(jobView), ...refusals(400) },
      },
    },
    async ({ query, access }) =>
      listNewest(jobs.all(access.namespace), (fact) => viewJob(services, access.namespace, fact), query),
  );

  app.get(
    '/v1/jobs/:id',
    {
      config: { scope: 'read' },
      schema: { tags, summary: 'One job', params: byId, response: { 200: jobView, ...refusals(400, 404) } },
    },
    async ({ params, access }) => viewJob(services, access.namespace, await jobs.get(access.namespace, params.id)),
  );

  app.get(
    '/v1/jobs/:id/events',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        summary: 'Progress as server-sent events',
        description: '`progress` events with the job, then one of `succeeded`, `failed`, `cancelled`.',
        params: byId,
        produces: ['text/event-stream'],
        response: { 200: runEvent, ...refusals(400, 404) },
      },
    },
    async ({ params, access }, reply) => {
      const { id } = await jobs.get(access.namespace, params.id);
      // Each time anew: it may be deleted meanwhile, and then the stream ends.
      const look = async () => viewJob(services, access.namespace, await jobs.get(access.namespace, id));
      const events = Readable.from(runEvents(look, closing.signal));
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('text/event-stream');
      // A stream passes the serializer by; the schema's type does not know that.
      return reply.send(events as unknown as z.output<typeof runEvent>);
    },
  );

  app.post(
    '/v1/jobs/:id/cancel',
    {
      config: { scope: 'write' },
      schema: {
        tags,
        summary: 'Cancel a job that has not ended',
        params: byId,
        response: { 200: jobView, ...refusals(400, 404, 409) },
      },
    },
    async ({ params, access }) => {
      const fact = await jobs.get(access.namespace, params.id);
      await jobLifecycle.cancel(access.namespace, fact.id);
      return viewJob(services, access.namespace, fact);
    },
  );

  app.delete(
    '/v1/jobs/:id',
    {
      config: { scope: 'admin' },
      schema: {
        tags,
        summary: 'Forget a job that has ended; what it made stays',
        params: byId,
        response: { 204: nothing, ...refusals(400, 404, 409) },
      },
    },
    async ({ params, access }, reply) => {
      const { id } = await jobs.get(access.namespace, params.id);
      await jobs.remove(access.namespace, id);
      return reply.status(204).send();
    },
  );

  app.get(
    '/v1/merges/:id/evaluations',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['merges'],
        summary: "How the merge's models did on data sets, from jobs that evaluated them",
        params: z.strictObject({ id: idOrName }),
        response: { 200: z.object({ items: z.array(evaluationView) }), ...refusals(400, 404) },
      },
    },
    async ({ params, access }) => {
      const { id } = await merges.get(access.namespace, params.id);
      return { items: await evaluations.list(access.namespace, id) };
    },
  );
}
