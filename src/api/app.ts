import multipart from '@fastify/multipart';
import Fastify, { type FastifyBaseLogger, type FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { createStoredBytes } from '../catalog/stored-bytes.js';
import { isLoopback } from '../exposure.js';
import type { Services } from '../services.js';
import { createGuard } from './guard.js';
import { formParts, MAX_FIELD_BYTES, MAX_FORM_FIELDS, MAX_PARAM_LENGTH } from './limits.js';
import { createPace, type Pace, type PaceLimits, UPLOAD_PACE } from './pace.js';
import { audit } from './plugins/audit.js';
import { auth } from './plugins/auth.js';
import { identity } from './plugins/identity.js';
import { metrics } from './plugins/metrics.js';
import { openapi } from './plugins/openapi.js';
import { otherMethods } from './plugins/other-methods.js';
import { places } from './plugins/places.js';
import { answerExpectation, answerMalformed, problems, sendProblem } from './plugins/problems.js';
import { quotas } from './plugins/quotas.js';
import { rateLimit } from './plugins/rate-limit.js';
import { requestEnd } from './plugins/request-end.js';
import { SECURITY_HEADERS, securityHeaders } from './plugins/security-headers.js';
import { unreadBodies } from './plugins/unread-bodies.js';
import { batchRoutes } from './routes/batches.js';
import { checkpointRoutes } from './routes/checkpoints.js';
import { healthRoutes } from './routes/health.js';
import { jobRoutes } from './routes/jobs.js';
import { mergeRoutes } from './routes/merges.js';
import { methodRoutes } from './routes/methods.js';
import { modelRoutes } from './routes/models.js';
import { reportRoutes } from './routes/reports.js';
import { uploadRoutes } from './routes/uploads.js';
import { verifyRoutes } from './routes/verify.js';
import type { Api } from './types.js';

declare module 'fastify' {
  interface FastifyInstance {
    /** Watches how fast the body of a request comes. */
    paceOf(request: FastifyRequest): Pace;
  }
}

export interface AppOptions {
  readonly services: Services;
  readonly logger: FastifyBaseLogger;
  readonly version: string;
  /** How slowly an upload may come. */
  readonly uploadPace?: PaceLimits;
}

/** The HTTP service without a socket: every route and plugin. Listens to nothing and reads no environment. */
export async function buildApp({ services, logger, version, uploadPace = UPLOAD_PACE }: AppOptions): Promise<Api> {
  const app = Fastify({
    loggerInstance: logger,
    bodyLimit: services.config.maxJsonBytes,
    exposeHeadRoutes: false, // a HEAD answer has the real length, so the routes that have one say it themselves
    forceCloseConnections: 'idle',
    clientErrorHandler: answerMalformed,
    // No hook sees these.
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply.headers(SECURITY_HEADERS)),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
  }).withTypeProvider<ZodTypeProvider>();
  app.server.on('checkExpectation', answerExpectation);
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.removeContentTypeParser('text/plain'); // a body is JSON, a form, or a file

  const refuseOtherMethods = otherMethods(app);
  await app.register(securityHeaders);
  await app.register(requestEnd);
  await app.register(problems);
  await app.register(unreadBodies);
  const { apiKeys: stored, config } = services;
  const mayBeOpen = isLoopback(config.host);
  const guard = createGuard({ environmentKeys: config.apiKeys, stored, now: Date.now, mayBeOpen });
  await app.register(auth, { guard });
  await app.register(rateLimit, { requestsPerMinute: config.requestsPerMinute });
  await app.register(audit);
  await app.register(places, { limits: config.atOnce });
  const { queue, submitter, store } = services;
  await app.register(quotas, { queue, submitter, storedBytes: createStoredBytes(store, Date.now) });
  await app.register(identity);
  await app.register(openapi, { version });
  await app.register(metrics, { queue });
  // Sizes are counted where the bytes flow (catalog/upload-stream.ts): the parser's own limit would cut a file short.
  await app.register(multipart, {
    preservePath: true, // a path is refused, not cut to its last name
    throwFileSizeLimit: false,
    limits: {
      fileSize: Number.POSITIVE_INFINITY,
      parts: formParts(config.limits.maxFiles),
      fields: MAX_FORM_FIELDS,
      fieldSize: MAX_FIELD_BYTES,
    },
  });
  app.decorate('paceOf', ({ raw }: FastifyRequest) => createPace(() => raw.socket.bytesRead, uploadPace));
  const routes = [
    uploadRoutes,
    checkpointRoutes,
    mergeRoutes,
    reportRoutes,
    modelRoutes,
    verifyRoutes,
    batchRoutes,
    jobRoutes,
    methodRoutes,
    healthRoutes,
  ];
  for (const register of routes) await app.register(async (scope) => register(scope as unknown as Api, services));
  refuseOtherMethods();
  return app as unknown as Api;
}
