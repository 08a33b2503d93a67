import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { type RecordedBytes, type Verdict, verifying } from '../catalog/verify.js';

/** Proxies and clients give up on an answer that is silent for a minute or less. */
const HEARTBEAT_MS = 5_000;

/**
 * Sends what is found of each file as soon as it is known, as one JSON object that is written piece by piece: a large
 * model takes minutes, and white space between its parts keeps the connection alive. What fails is said in `state`, since
 * the status was sent before anything was read. Reading ends when the client goes away.
 */
export function sendVerification(reply: FastifyReply, files: readonly RecordedBytes[]): FastifyReply {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('application/json');
  return reply.send(Readable.from(verification(files, gone.signal)));
}

async function* verification(files: readonly RecordedBytes[], signal: AbortSignal): AsyncGenerator<string> {
  let bad = 0;
  let sent = Date.now();
  yield '{"files":[';
  for (const [index, file] of files.entries()) {
    const work = verifying(file, signal);
    let step = await work.next();
    for (; !step.done; step = await work.next()) {
      if (Date.now() - sent < HEARTBEAT_MS) continue;
      yield '\n';
      sent = Date.now();
    }
    if (step.value.state !== 'ok') bad += 1;
    yield lineOf(step.value, index);
    sent = Date.now();
  }
  yield `\n],"ok":${bad === 0},"bad":${bad},"bytes":${files.reduce((sum, { bytes }) => sum + bytes, 0)}}\n`;
}

const lineOf = (verdict: Verdict, index: number) => `${index === 0 ? '' : ','}\n${JSON.stringify(verdict)}`;
