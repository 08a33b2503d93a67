import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

export interface SlowProxy {
  readonly url: string;
  /** Bytes a second that pass from the server, all connections together; Infinity holds nothing up. */
  rate: number;
  /** Breaks every connection that is open now. */
  cut(): void;
  close(): Promise<void>;
}

/** Stands between a client and an HTTP server of this machine and passes its answers on as slowly as it is told. */
export async function slowProxy(target: string): Promise<SlowProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  /** When the last byte that was let through has passed. */
  let busyUntil = 0;

  const brake = () =>
    new Transform({
      async transform(chunk: Buffer, _encoding, done) {
        busyUntil = Math.max(busyUntil, performance.now()) + (chunk.byteLength / proxy.rate) * 1000;
        const wait = busyUntil - performance.now();
        if (wait > 1) await pause(wait);
        done(null, chunk);
      },
    });

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.pipe(upstream);
    upstream.pipe(brake()).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const proxy: SlowProxy = {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    rate: Number.POSITIVE_INFINITY,
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      proxy.cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
