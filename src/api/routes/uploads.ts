import { Readable } from 'node:stream';
import type { Multipart } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CheckpointRecord } from '../../catalog/records.js';
import type { Uploads } from '../../catalog/uploads.js';
import { EmrError } from '../../errors.js';
import { checkFileName, FILE_NAME_PATTERN } from '../../names.js';
import { type Access, requireScope } from '../../scopes.js';
import type { Services } from '../../services.js';
import type { Pace } from '../pace.js';
import { requireBody } from '../plugins/request-end.js';
import {
  checkpointView,
  rawFile,
  registerBody,
  uploadedFile,
  uploadForm,
  viewCheckpoint,
} from '../schemas/checkpoint.js';
import { name, refusals } from '../schemas/common.js';
import type { Api } from '../types.js';

/** The route checks the name itself, with a code of its own; the pattern is for readers of openapi.yaml. */
const fileName = z.string().min(1).max(255).meta({ pattern: FILE_NAME_PATTERN.source });

/** The body as it is sent. A refusal must not destroy the request, whose connection carries the answer. */
function steadyBody(request: FastifyRequest): AsyncGenerator<Uint8Array> {
  const body = { [Symbol.asyncIterator]: () => request.raw.iterator({ destroyOnReturn: false }) };
  return request.server.paceOf(request).steady(body);
}

/** The ways in: multipart, one PUT per file, or registration of files that are there already. */
export function uploadRoutes(app: Api, { uploads, register }: Services): void {
  app.post(
    '/v1/checkpoints',
    {
      config: { scope: 'write', place: 'uploads', takes: 'upload' },
      // JSON holds a place, too. Nothing is read of a form, which reads the request itself.
      preParsing: async (request) => Readable.from(steadyBody(request)).on('error', () => {}),
      schema: {
        tags: ['checkpoints'],
        summary: 'Upload a checkpoint, or register files in place',
        description:
          'multipart/form-data: the field `name`, then the files, each under its own file name; they are streamed to ' +
          'the store. application/json: `{name, source: {uri}}` registers files that lie in the store or below an ' +
          'allowed root; they are hashed once and read in place.',
        body: {
          content: { 'multipart/form-data': { schema: uploadForm }, 'application/json': { schema: registerBody } },
        },
        response: { 201: checkpointView, ...refusals(400, 403, 404, 408, 409, 413, 415, 422, 503, 507) },
      },
    },
    async (request, reply) => {
      const record = request.isMultipart()
        ? await receiveMultipart(request, uploads, app.paceOf(request)).catch(rethrowFormError)
        : await registerFiles(request.access, request.body as z.output<typeof registerBody> | undefined);
      return reply.status(201).header('location', `/v1/checkpoints/${record.name}`).send(viewCheckpoint(record));
    },
  );

  const registerFiles = async (access: Access, body: z.output<typeof registerBody> | undefined) => {
    if (!body) {
      throw new EmrError('invalid_request', 'Send a form with the files, or JSON that says where they are.');
    }
    // Folders of the server belong to no namespace.
    if (body.source.uri.startsWith('file:')) requireScope(access, 'admin');
    return register(access.namespace, body.name, body.source.uri);
  };

  // Any content type: the body is the file. In a scope of its own, so that other routes keep theirs.
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    (scope as unknown as Api).put(
      '/v1/checkpoints/:name/files/:file',
      {
        config: { scope: 'write', place: 'uploads', takes: 'upload' },
        bodyLimit: Number.MAX_SAFE_INTEGER, // counted as it flows, against EMR_MAX_UPLOAD_BYTES
        schema: {
          tags: ['checkpoints'],
          summary: 'Upload one file of a checkpoint, raw: the fast way in for large files',
          description: 'Then `POST …/complete`. A file that is sent again replaces the earlier one.',
          body: { content: { 'application/octet-stream': { schema: rawFile } } },
          params: z.strictObject({ name, file: fileName }),
          response: { 200: uploadedFile, ...refusals(400, 408, 409, 413, 422, 503, 507) },
        },
      },
      async (request) => {
        const { params, access } = request;
        return uploads.putFile(access.namespace, params.name, params.file, steadyBody(request));
      },
    );
  });

  app.post(
    '/v1/checkpoints/:name/complete',
    {
      config: { scope: 'write', place: 'uploads' }, // reads headers of many MB
      schema: {
        tags: ['checkpoints'],
        summary: 'Make a checkpoint of the files that were put',
        params: z.strictObject({ name }),
        response: { 201: checkpointView, ...refusals(400, 404, 409, 422, 503) },
      },
    },
    async ({ params, access }, reply) => {
      const record = await uploads.complete(access.namespace, params.name);
      return reply.status(201).header('location', `/v1/checkpoints/${record.name}`).send(viewCheckpoint(record));
    },
  );
}

/** Nothing that fails leaves a file: whatever breaks, in the client or here, the upload is taken back. */
async function receiveMultipart(
  request: FastifyRequest,
  uploads: Uploads,
  { steady }: Pace,
): Promise<CheckpointRecord> {
  requireBody(request); // quotas may have waited
  const parts = steady(request.parts());
  const first = await parts.next();
  const checkpoint = nameField(first.done ? undefined : first.value);
  const upload = await uploads.begin(request.access.namespace, checkpoint);
  try {
    for await (const part of parts) {
      if (part.type !== 'file') throw new EmrError('invalid_request', `There is no field ${part.fieldname}.`);
      const file: string | undefined = part.filename; // whatever its type says: a part need not have one
      await upload.add(checkFileName(file), steady(part.file));
    }
    return await upload.commit();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

/** The form parser's own errors have no code. */
function rethrowFormError(error: unknown): never {
  const message = error instanceof Error ? error.message : '';
  if (/terminated early|Unexpected end of multipart data/.test(message)) {
    throw new EmrError('upload_incomplete', 'The form ends in the middle of a part.', {}, { cause: error });
  }
  if (message === 'Multipart: Boundary not found') {
    throw new EmrError(
      'invalid_request',
      'The content type multipart/form-data needs a boundary.',
      {},
      { cause: error },
    );
  }
  throw error;
}

function nameField(part: Multipart | undefined): string {
  if (part?.type === 'field' && part.fieldname === 'name' && typeof part.value === 'string') return part.value;
  throw new EmrError('invalid_request', 'The first part of the form must be the field name; the files follow.');
}
