/** A server that is called: what it got, and answers as a test wants them. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TestCertificate } from './certificates.js';

export interface ReceivedCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** What the client asked for by SNI; false without TLS, or for an address. */
  readonly servername: string | false;
}

export interface Receiver {
  readonly port: number;
  readonly calls: ReceivedCall[];
  /** Connections that were opened, whether or not anything was asked on them. */
  connections(): number;
  close(): Promise<void>;
}

export type Answer = (call: ReceivedCall, response: ServerResponse) => void;

/** @param answer by default 204 */
export async function startReceiver(
  answer: Answer = (_call, response) => void response.writeHead(204).end(),
  { tls, host = '127.0.0.1' }: { readonly tls?: TestCertificate; readonly host?: string } = {},
): Promise<Receiver> {
  const calls: ReceivedCall[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = tls ? createTlsServer(tls) : createServer();
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('request', async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method = '', url: path = '', headers, socket } = request;
    const servername = tls ? (socket as TLSSocket & { readonly servername: string | false }).servername : false;
    const call: ReceivedCall = { method, path, headers, body: Buffer.concat(parts).toString('utf8'), servername };
    calls.push(call);
    answer(call, response);
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    calls,
    connections: () => connections,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}
