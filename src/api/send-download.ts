import { getDefaultHighWaterMark, Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EmrError } from '../errors.js';
import type { Download } from '../merge/models.js';

/**
 * Sends a file whose size and tag are known, as RFC 9110 asks: HEAD, If-None-Match, Range with If-Range, 206 and 416.
 * Of several ranges in one request the whole file is sent, which the RFC allows.
 */
export async function sendDownload(
  request: FastifyRequest,
  reply: FastifyReply,
  file: Download,
): Promise<FastifyReply> {
  const etag = `"${file.etag}"`;
  reply
    .header('etag', etag)
    .header('accept-ranges', 'bytes')
    .header('cache-control', 'no-cache, no-transform')
    .header('content-type', contentType(file.name))
    .header('content-disposition', `attachment; filename="${file.name}"`)
    .header('x-content-type-options', 'nosniff');
  if (etagMatches(request.headers['if-none-match'], etag)) return reply.status(304).send();

  const range = requestedRange(request, etag, file.bytes);
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${file.bytes}`);
    throw new EmrError('invalid_range', `The file has ${file.bytes} bytes.`, { bytes: file.bytes });
  }
  const { start, end } = range ?? { start: 0, end: file.bytes };
  if (range) reply.status(206).header('content-range', `bytes ${start}-${end - 1}/${file.bytes}`);
  reply.header('content-length', end - start);
  if (request.method === 'HEAD') return reply.send();
  // The generator uses its buffers again: one chunk is in the stream between, one with the socket (CHUNKS_HELD).
  const consumed = new Promise((resolve) => reply.raw.once('close', resolve));
  return reply.send(Readable.from(ownSmall(file.read(start, end, consumed)), { highWaterMark: 1 }));
}

/**
 * A socket asks to wait only when what it holds reaches its write buffer (16 KiB on Node 20, 64 KiB since 22): of chunks
 * below that it may hold many. Those are copied, one by one, so that their maker's count of chunks stays true.
 */
async function* ownSmall(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const small = Math.max(64 * 1024, getDefaultHighWaterMark(false));
  for await (const chunk of chunks) yield chunk.byteLength < small ? Buffer.from(chunk) : chunk;
}

/** RFC 9110, 14.1.1: `first-last`, `first-` or `-suffix`. Several ranges, other units and what is no range do not match. */
const SINGLE_RANGE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i;

/** Start and end (exclusive) of the one range that is asked for; undefined for the whole file. */
function requestedRange(
  { headers, method }: FastifyRequest,
  etag: string,
  bytes: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  // RFC 9110, 14.2: ranges are of GET alone; HEAD says what the whole file has.
  if (method !== 'GET' || headers.range === undefined) return undefined;
  // A date could only match a Last-Modified, which we do not send: then, as for another tag, the whole file.
  const ifRange = headers['if-range'];
  if (ifRange !== undefined && ifRange !== etag) return undefined;
  const [, first, last, suffix] = SINGLE_RANGE.exec(headers.range.trim()) ?? [];
  // A suffix longer than the file is the whole file.
  if (suffix !== undefined) return satisfiable(Math.max(0, bytes - Number(suffix)), bytes, bytes);
  if (first === undefined || (last && Number(last) < Number(first))) return undefined;
  return satisfiable(Number(first), last ? Math.min(Number(last) + 1, bytes) : bytes, bytes);
}

function satisfiable(start: number, end: number, bytes: number): { start: number; end: number } | 'unsatisfiable' {
  return start < bytes ? { start, end } : 'unsatisfiable';
}

/** If-None-Match, RFC 9110, 13.1.2; `etag` with its quotes. */
export function etagMatches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  // Weak comparison, as the RFC wants it for If-None-Match.
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

function contentType(name: string): string {
  return name.endsWith('.json') ? 'application/json' : 'application/octet-stream';
}
