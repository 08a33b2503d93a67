import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * What an S3 server may do to a request: refuse it (500, 503), let it wait, cut the connection before it is carried out
 * (`reset`) or after (`lost`: only the answer is), or break off its answer's body (`truncated`).
 */
export const S3_FAULTS = ['500', '503', 'slow', 'reset', 'lost', 'truncated'] as const;
export type S3Fault = (typeof S3_FAULTS)[number];

export interface FaultProxy {
  readonly url: string;
  /** Requests that were disturbed so far. */
  readonly hits: number;
  /** From now on every request meets this fault with this probability. */
  disturb(fault: S3Fault, share: number, random: () => number): void;
  calm(): void;
  close(): Promise<void>;
}

/** The longest wait that `slow` makes. */
const SLOW_MS = 1500;
const REFUSALS = { 500: 'InternalError', 503: 'SlowDown' } as const;

/** Stands before an S3 server. Hosts and paths pass unchanged, since the signature of a request covers them. */
export async function faultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  let hits = 0;
  let pick = (): S3Fault | undefined => undefined;
  let random = () => 0;

  const refuse = (incoming: IncomingMessage, answer: ServerResponse, status: keyof typeof REFUSALS) => {
    incoming.resume().once('end', () => {
      const body = `<?xml version="1.0"?><Error><Code>${REFUSALS[status]}</Code><Message>injected</Message></Error>`;
      answer.writeHead(status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) });
      answer.end(incoming.method === 'HEAD' ? undefined : body);
    });
  };

  const pass = (incoming: IncomingMessage, answer: ServerResponse, fault: S3Fault | undefined) => {
    const { method = 'GET', url: path = '/', headers } = incoming;
    const onward = request({ hostname, port, method, path, headers, agent }, (response) => {
      if (fault === 'lost') return void response.resume().once('end', () => incoming.socket.destroy());
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      if (fault !== 'truncated' || method === 'HEAD') return void response.pipe(answer);
      const whole = Number(response.headers['content-length'] ?? 0);
      let passed = 0;
      response.on('data', (chunk: Buffer) => {
        const room = Math.floor(whole / 2) - passed;
        passed += chunk.byteLength;
        if (room > 0) answer.write(chunk.subarray(0, room));
      });
      // What was passed on has left before the connection breaks.
      response.once('end', () => setTimeout(() => incoming.socket.destroy(), 10));
    });
    onward.once('error', () => incoming.socket.destroy());
    incoming.once('error', () => onward.destroy());
    incoming.pipe(onward);
  };

  const server = createServer(async (incoming, answer) => {
    const fault = pick();
    if (fault !== undefined) hits += 1;
    if (fault === '500' || fault === '503') return refuse(incoming, answer, fault === '500' ? 500 : 503);
    if (fault === 'reset') return void incoming.socket.destroy();
    if (fault === 'slow') await pause(SLOW_MS * random());
    pass(incoming, answer, fault);
  });
  server.requestTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get hits() {
      return hits;
    },
    disturb(fault, share, numbers) {
      random = numbers;
      pick = () => (numbers() < share ? fault : undefined);
    },
    calm() {
      pick = () => undefined;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      agent.destroy();
    },
  };
}
