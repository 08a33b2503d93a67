import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify';
import fp from 'fastify-plugin';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { EmrError, ERRORS, type ErrorCode, toEmrError } from '../../errors.js';
import { explained, type Issue } from '../../issues.js';
import { SECURITY_HEADERS } from './security-headers.js';

/** Fastify's own refusals, by the code of ours that they mean. */
const FRAMEWORK_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_INVALID_MULTIPART_CONTENT_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'upload_incomplete',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_request',
  FST_PARTS_LIMIT: 'too_large',
  FST_FILES_LIMIT: 'too_large',
  FST_FIELDS_LIMIT: 'too_large',
  // The client went away; the answer reaches nobody but the log.
  ECONNRESET: 'upload_incomplete',
  ERR_STREAM_PREMATURE_CLOSE: 'upload_incomplete',
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Why it was refused, if it was. */
    refusal: ErrorCode | null;
  }
}

/** What a refusal says of a request that does not fit: enough for a person, whatever was sent. */
const MAX_ISSUES = 100;
const MAX_ISSUE_TEXT = 1_000;

/** Refused for now, by a server or a quota that has enough to do. */
const RETRY_LATER = new Set([429, 503]);

/** The body of every refusal: RFC 9457 with `code`, `retry` and the error's facts as extension members. */
export function problemOf(error: EmrError): Record<string, unknown> {
  const { status, retry, title } = ERRORS[error.code];
  return {
    ...error.facts,
    type: `https://github.com/emr-merge/emr-merge/blob/main/docs/errors.md#${error.code}`,
    title,
    status,
    detail: error.detail,
    code: error.code,
    retry,
  };
}

/** What zod said, as it was before the framework's own form of it. */
const issueOf = ({ keyword, instancePath, message = 'not valid', params }: FastifySchemaValidationError): Issue => ({
  code: keyword,
  path: instancePath === '/' ? [] : instancePath.split('/').slice(1),
  message,
  ...(params as Pick<Issue, 'errors' | 'keys'>),
});

function codedError(error: FastifyError, request: FastifyRequest): EmrError {
  if (error instanceof EmrError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    // An issue may repeat what was sent, and there may be one for each thing that was sent.
    const issues = explained(error.validation.map(issueOf))
      .slice(0, MAX_ISSUES)
      .map(({ path, message }) => ({
        path: path.join('.').slice(0, MAX_ISSUE_TEXT),
        message: message.slice(0, MAX_ISSUE_TEXT),
      }));
    const where = `${error.validationContext}${issues[0]?.path ? `.${issues[0].path}` : ''}`;
    return new EmrError('invalid_request', `${where}: ${issues[0]?.message ?? 'not valid'}`, { issues });
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = request.routeOptions.bodyLimit;
    const setting = 'EMR_MAX_JSON_BYTES';
    return new EmrError('too_large', `The body is larger; the limit is ${limit} (${setting}).`, { limit, setting });
  }
  const known = FRAMEWORK_CODES[error.code];
  if (known) return new EmrError(known, error.message, {}, { cause: error });
  // Anything else that the framework or the HTTP parser refuses is the client's; ours are 5xx.
  if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500) {
    return new EmrError('invalid_request', STATUS_CODES[error.statusCode] ?? 'Bad request', {}, { cause: error });
  }
  return toEmrError(error);
}

/** Answers with the problem that an error is; for what the framework refuses before it looks for a route, too. */
export function sendProblem(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const coded = codedError(error, request);
  if (coded.status >= 500) request.log.error({ err: error, code: coded.code }, coded.detail);
  request.refusal = coded.code;
  if (coded.code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  if (coded.code === 'forbidden' && coded.facts.scope !== undefined) {
    reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${coded.facts.scope}"`); // RFC 6750, 3.1
  }
  if (coded.retry && RETRY_LATER.has(coded.status) && !reply.hasHeader('retry-after')) reply.header('retry-after', '5');
  return reply
    .status(coded.status)
    .type('application/problem+json')
    .send(JSON.stringify(problemOf(coded)));
}

/** What HTTP itself refuses, as a problem with the status that HTTP has for it. */
function refusalOf(status: number): { headers: Record<string, string>; body: string } {
  const coded = new EmrError('invalid_request', STATUS_CODES[status]!);
  const body = JSON.stringify({ ...problemOf(coded), status });
  const length = String(Buffer.byteLength(body));
  return {
    headers: { 'content-type': 'application/problem+json', 'content-length': length, ...SECURITY_HEADERS },
    body,
  };
}

/** Answers a request that expects what no server here knows: Node passes it by everything else. */
export function answerExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const { headers, body } = refusalOf(417);
  response.writeHead(417, headers).end(body);
}

/** Answers what is no HTTP, or has too long a head for it: no route and no hook ever sees such a request. */
export function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
  const { headers, body } = refusalOf(status);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Turns every error into `application/problem+json`; what is not the client's is logged with its cause. */
export const problems = fp(
  async (app) => {
    app.decorateRequest('refusal', null);
    app.setErrorHandler(sendProblem);
    app.setNotFoundHandler((request, reply) => {
      const error = new EmrError('not_found', `There is nothing at ${request.method} ${request.url.split('?')[0]}.`);
      return reply
        .status(404)
        .type('application/problem+json')
        .send(JSON.stringify(problemOf(error)));
    });
  },
  { name: 'problems' },
);
