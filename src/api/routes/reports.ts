import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { RequestFact } from '../../catalog/merge-facts.js';
import { EmrError } from '../../errors.js';
import { bundlePaths } from '../../merge/bundle.js';
import type { Download } from '../../merge/models.js';
import { PAGE_POLICY } from '../../report-page/policy.js';
import { createPageRenderer, type Page } from '../../report-page/renderer.js';
import type { Access } from '../../scopes.js';
import type { Services } from '../../services.js';
import { withEvaluations } from '../report-download.js';
import { idOrName, refusals } from '../schemas/common.js';
import { etagMatches, sendDownload } from '../send-download.js';
import type { Api } from '../types.js';

/** A page is drawn from the whole report at once. 256 tasks of 300 tensors are some 60 MB; larger ones are read as JSON. */
const MAX_DRAWN_BYTES = 128 * 2 ** 20;

/** What a merge says of itself: figures as JSON, or drawn as a page. */
export function reportRoutes(app: Api, { merges, models, evaluations }: Services): void {
  const renderer = createPageRenderer();
  app.addHook('onClose', () => renderer.close());

  const draw = async (access: Access, fact: RequestFact, report: Download): Promise<Page> => {
    if (report.bytes > MAX_DRAWN_BYTES) {
      throw new EmrError('too_large', `The report has ${report.bytes} bytes: too many to draw. Read it as JSON.`, {
        bytes: report.bytes,
      });
    }
    const measured = await evaluations.list(access.namespace, fact.id);
    const outcome = await merges.outcome(access.namespace, fact.id);
    if (outcome.state !== 'succeeded') throw new EmrError('unknown_merge', 'The merge has been deleted.');
    const { finished_at, seconds } = outcome.result;
    const name = await merges.nameOf(access.namespace, fact);
    const merge = { id: fact.id, finished_at, seconds, ...(name === undefined ? {} : { name }) };
    return renderer.render({ merge, report: await readAll(report), evaluations: measured });
  };

  app.get(
    '/v1/merges/:id/report',
    {
      config: { scope: 'read', place: 'downloads' },
      schema: {
        tags: ['models'],
        summary: 'Every figure of the merge: rescalers, densities, distances, conflicts, evaluations',
        description:
          'As JSON, or with `format=html` drawn as one page that needs no script and loads nothing, so that it can be ' +
          'kept as a file.',
        params: z.strictObject({ id: idOrName }),
        querystring: z.strictObject({ format: z.enum(['json', 'html']).default('json') }),
        produces: ['application/json', 'text/html'],
        response: { 200: z.any(), ...refusals(400, 404, 409, 413, 503) },
      },
    },
    async (request, reply) => {
      const { access } = request;
      const fact = await merges.get(access.namespace, request.params.id);
      const report = await models.artifact(access.namespace, fact, bundlePaths.report);
      if (request.query.format === 'json') {
        return sendDownload(request, reply, withEvaluations(report, await evaluations.list(access.namespace, fact.id)));
      }
      return sendPage(request, reply, await draw(access, fact, report));
    },
  );
}

function sendPage(request: FastifyRequest, reply: FastifyReply, { html, etag }: Page): FastifyReply {
  reply
    .header('etag', `"${etag}"`)
    .header('cache-control', 'no-cache')
    .header('content-security-policy', PAGE_POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer');
  if (etagMatches(request.headers['if-none-match'], `"${etag}"`)) return reply.status(304).send();
  return reply.type('text/html; charset=utf-8').send(html);
}

/** The whole of a stored file. Its reader uses its buffers again, so each chunk is copied. */
async function readAll({ bytes, read }: Download): Promise<Buffer> {
  const whole = Buffer.alloc(bytes);
  let at = 0;
  for await (const chunk of read(0, bytes, Promise.resolve())) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
