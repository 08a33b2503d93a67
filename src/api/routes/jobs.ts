import { Readable } from 'node:stream';
import { z } from 'zod';
import { EmrError } from '../../errors.js';
import { jobRequest } from '../../models/request.js';
import type { Services } from '../../services.js';
import { viewJob } from '../job-view.js';
import { runEvents } from '../run-events.js';
import { listNewest } from '../run-list.js';
import { idOrName, jobId, listOf, NAMESPACE, nothing, page, refusals } from '../schemas/common.js';
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
      schema: {
        tags,
        summary: 'Run a model over a data set',
        description:
          'The same request on the same checkpoints is the same job: the second answer is 200 with the first job. ' +
          'One that failed or was cancelled is run again.',
        body: jobRequest,
        response: { 202: jobView, 200: jobView, ...refusals(400, 404, 409, 422) },
      },
    },
    async ({ body }, reply) => {
      const { fact, created } = await jobSubmitter.submit(NAMESPACE, body);
      reply.header('location', `/v1/jobs/${fact.id}`);
      return reply.status(created ? 202 : 200).send(await viewJob(services, NAMESPACE, fact));
    },
  );

  app.get(
    '/v1/jobs',
    {
      schema: {
        tags,
        summary: 'All jobs, newest first',
        querystring: page,
        response: { 200: listOf(jobView), ...refusals(400) },
      },
    },
    async ({ query }) => listNewest(jobs.all(NAMESPACE), (fact) => viewJob(services, NAMESPACE, fact), query),
  );

  app.get(
    '/v1/jobs/:id',
    { schema: { tags, summary: 'One job', params: byId, response: { 200: jobView, ...refusals(400, 404) } } },
    async ({ params }) => viewJob(services, NAMESPACE, await jobs.get(NAMESPACE, params.id)),
  );

  app.get(
    '/v1/jobs/:id/events',
    {
      schema: {
        tags,
        summary: 'Progress as server-sent events',
        description: '`progress` events with the job, then one of `succeeded`, `failed`, `cancelled`.',
        params: byId,
        produces: ['text/event-stream'],
        response: { 200: z.string(), ...refusals(400, 404) },
      },
    },
    async ({ params }, reply) => {
      const fact = await jobs.get(NAMESPACE, params.id);
      const events = Readable.from(runEvents(() => viewJob(services, NAMESPACE, fact), closing.signal));
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('text/event-stream');
      // A stream passes the serializer by; the schema's type does not know that.
      return reply.send(events as unknown as string);
    },
  );

  app.post(
    '/v1/jobs/:id/cancel',
    {
      schema: {
        tags,
        summary: 'Cancel a job that has not ended',
        params: byId,
        response: { 200: jobView, ...refusals(400, 404, 409) },
      },
    },
    async ({ params }) => {
      const fact = await jobs.get(NAMESPACE, params.id);
      await jobLifecycle.cancel(NAMESPACE, fact.id);
      return viewJob(services, NAMESPACE, fact);
    },
  );

  app.delete(
    '/v1/jobs/:id',
    {
      schema: {
        tags,
        summary: 'Forget a job that has ended; what it made stays',
        params: byId,
        response: { 204: nothing, ...refusals(400, 404, 409) },
      },
    },
    async ({ params }, reply) => {
      const { id } = await jobs.get(NAMESPACE, params.id);
      if ((await jobs.outcome(NAMESPACE, id)).state === 'open') {
        throw new EmrError('job_running', 'Cancel the job first.', { job: id });
      }
      await jobs.remove(NAMESPACE, id);
      return reply.status(204).send();
    },
  );

  app.get(
    '/v1/merges/:id/evaluations',
    {
      schema: {
        tags: ['merges'],
        summary: "How the merge's models did on data sets, from jobs that evaluated them",
        params: z.strictObject({ id: idOrName }),
        response: { 200: z.object({ items: z.array(evaluationView) }), ...refusals(400, 404) },
      },
    },
    async ({ params }) => {
      const { id } = await merges.get(NAMESPACE, params.id);
      return { items: await evaluations.list(NAMESPACE, id) };
    },
  );
}
