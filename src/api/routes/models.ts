import { z } from 'zod';
import { OUTPUT_DTYPES } from '../../dtype.js';
import { bundlePaths, MAX_BUNDLE_PATH } from '../../merge/bundle.js';
import { RESCALERS, SCOPES, STEPS } from '../../merge/methods/emr.js';
import type { Access } from '../../scopes.js';
import type { Services } from '../../services.js';
import { idOrName, name, refusals } from '../schemas/common.js';
import { artifactView } from '../schemas/merge.js';
import { sendDownload } from '../send-download.js';
import type { Api } from '../types.js';

const byId = z.strictObject({ id: idOrName });
const byTask = z.strictObject({ id: idOrName, task: name });
const rendering = z.strictObject({
  rescaler: z.enum(RESCALERS).optional().describe('Which λ; default: as the merge was asked for.'),
  scope: z.enum(SCOPES).optional().describe('One λ for the model, or one for each tensor.'),
  steps: z
    .enum(STEPS)
    .optional()
    .describe('How far: W_pre + u, W_pre + M⊙u, or with λ; default: as the merge was asked for.'),
  dtype: z.enum(OUTPUT_DTYPES).optional().describe('Of all float tensors; default: as in the fine-tuned checkpoint.'),
});

/** What a merge has made: artifacts, and every task's model, rebuilt while it is sent. */
export function modelRoutes(app: Api, { merges, models }: Services): void {
  /** The merge that a request is about, after its namespace. */
  const about = async ({ access: { namespace }, params }: { access: Access; params: { id: string } }) =>
    [namespace, await merges.get(namespace, params.id)] as const;
  const file = {
    produces: ['application/octet-stream', 'application/json'],
    description: 'Content-Length, a strong ETag, Range, If-Range and If-None-Match. HEAD answers without a body.',
    response: { 200: z.any(), 206: z.any(), ...refusals(400, 404, 409, 416, 503) },
  };
  const download = (url: string) => ({ method: ['GET', 'HEAD'], url });

  app.get(
    '/v1/merges/:id/files',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['models'],
        summary: 'All artifacts',
        params: byId,
        response: { 200: z.object({ files: z.array(artifactView) }), ...refusals(400, 404, 409) },
      },
    },
    async (request) => ({ files: [...(await models.artifacts(...(await about(request))))] }),
  );

  app.route({
    ...download('/v1/merges/:id/files/*'),
    config: { scope: 'read', place: 'downloads' },
    schema: {
      ...file,
      tags: ['models'],
      summary: 'One artifact, by its path as in the list',
      params: z.strictObject({ id: idOrName, '*': z.string().max(MAX_BUNDLE_PATH) }),
    },
    handler: async (request, reply) =>
      sendDownload(request, reply, await models.artifact(...(await about(request)), request.params['*'])),
  });

  app.route({
    ...download('/v1/merges/:id/model.safetensors'),
    config: { scope: 'read', place: 'downloads' },
    schema: { ...file, tags: ['models'], summary: 'The one model of methods that make one', params: byId },
    handler: async (request, reply) =>
      sendDownload(request, reply, await models.artifact(...(await about(request)), bundlePaths.model)),
  });

  app.route({
    ...download('/v1/merges/:id/tasks/:task/model.safetensors'),
    config: { scope: 'read', place: 'reconstructions' },
    schema: {
      ...file,
      tags: ['models'],
      summary: "A task's model in one file, rebuilt while it is sent",
      params: byTask,
      querystring: rendering,
    },
    handler: async (request, reply) => {
      const { params, query } = request;
      return sendDownload(request, reply, await models.taskModel(...(await about(request)), params.task, query));
    },
  });

  app.get(
    '/v1/merges/:id/tasks/:task/files',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['models'],
        summary: "The task's whole folder, with shards, index and side files as its checkpoint had them",
        params: byTask,
        querystring: rendering,
        response: {
          200: z.object({ files: z.array(z.object({ path: z.string(), bytes: z.int(), etag: z.string() })) }),
          ...refusals(400, 404, 409),
        },
      },
    },
    async (request) => {
      const { params, query } = request;
      const files = await models.taskFiles(...(await about(request)), params.task, query);
      return { files: files.map(({ name: path, bytes, etag }) => ({ path, bytes, etag })) };
    },
  );

  app.route({
    ...download('/v1/merges/:id/tasks/:task/files/:file'),
    config: { scope: 'read', place: 'reconstructions' },
    schema: {
      ...file,
      tags: ['models'],
      summary: "One file of the task's folder",
      params: byTask.extend({ file: z.string().max(255) }),
      querystring: rendering,
    },
    handler: async (request, reply) => {
      const { params, query } = request;
      const found = await models.taskFile(...(await about(request)), params.task, params.file, query);
      return sendDownload(request, reply, found);
    },
  });
}
