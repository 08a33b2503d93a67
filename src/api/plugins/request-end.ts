import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { EmrError } from '../../errors.js';
import { MAX_OPEN_ANSWERS } from '../limits.js';

/** Called once for each request; `sent`: whether the client's connection took the whole answer. */
export type EndListener = (request: FastifyRequest, reply: FastifyReply, sent: boolean) => void;

declare module 'fastify' {
  interface FastifyInstance {
    /** Calls it at the end of every request: its answer is known, and was sent or will not be, since its client has gone. */
    onRequestEnd(listener: EndListener): void;
  }
  interface FastifyRequest {
    isAnswered: boolean;
  }
}

/** A body that went away before anybody read it ends in no event: whoever reads it would wait, and no answer ever come. */
export function requireBody({ raw }: FastifyRequest): void {
  if (raw.destroyed) throw new EmrError('upload_incomplete', 'The client went away before its request was read.');
}

/** The answers of each connection that have not closed. */
const openAnswers = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Of requests that were sent one behind the other Node closes only the answer at the front when their connection closes.
 * Returns how many are open now.
 */
function closeWithConnection(answer: ServerResponse, socket: Socket): number {
  let open = openAnswers.get(socket);
  if (open === undefined) {
    const answers = new Set<ServerResponse>();
    openAnswers.set(socket, answers);
    socket.once('close', () => {
      for (const left of answers) left.destroy().emit('close');
    });
    open = answers;
  }
  const answers = open.add(answer);
  answer.once('close', () => answers.delete(answer));
  return answers.size;
}

/**
 * Ends a connection on which nothing moved for as long as one may be idle; not while its client has sent a whole request and
 * waits for us.
 */
export function endIdle(socket: Socket): void {
  const waits = ({ req, headersSent }: ServerResponse) => req.complete && !headersSent;
  if (![...(openAnswers.get(socket) ?? [])].some(waits)) socket.destroy();
  else if (socket.timeout) socket.setTimeout(socket.timeout); // it comes once only, and the answer may have to wait for others
}

/**
 * Fastify's `onResponse` comes when an answer was sent, and never for a client that has gone. Its request goes on all the
 * same: what it takes is free, and what it did is known, only when both have ended. Registered before all hooks that wait.
 */
export const requestEnd = fp(
  async (app) => {
    const listeners: EndListener[] = [];
    const end: EndListener = (...ended) => {
      for (const listener of listeners) listener(...ended);
    };
    app.decorate('onRequestEnd', (listener: EndListener) => void listeners.push(listener));
    app.decorateRequest('isAnswered', false);

    app.addHook('onRequest', async (request, reply) => {
      const open = closeWithConnection(reply.raw, request.raw.socket);
      let sent = false;
      reply.raw.once('finish', () => {
        sent = true;
      });
      reply.raw.once('close', () => {
        if (request.isAnswered || reply.raw.writableEnded) end(request, reply, sent);
      });
      if (open > MAX_OPEN_ANSWERS) {
        throw new EmrError('overloaded', `One connection may wait for ${MAX_OPEN_ANSWERS} answers at once.`, {
          limit: MAX_OPEN_ANSWERS,
        });
      }
    });
    app.addHook('preParsing', async (request) => requireBody(request));
    app.addHook('onSend', async (request, reply) => {
      if (request.isAnswered) return;
      request.isAnswered = true;
      if (reply.raw.destroyed) end(request, reply, false);
    });
  },
  { name: 'request-end' },
);
