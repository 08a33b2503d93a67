/** What a client of the load does: one request at a time on one connection, with a count of what came of it. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

export interface Tally {
  done: number;
  /** Answers of 429 or 503 with Retry-After: the server said that it has enough to do. */
  refused: number;
  readonly errors: string[];
  bytes: number;
  /** Of answered requests, in milliseconds. */
  readonly latencies: number[];
}

export const newTally = (): Tally => ({ done: 0, refused: 0, errors: [], bytes: 0, latencies: [] });

export interface ClientCall {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: AsyncIterable<Uint8Array> | Uint8Array;
  /** The rate at which the answer is read. */
  readonly bytesPerSecond?: number;
  /** When it was to be sent, of `performance.now()`: its latency counts from then; without, from when it is sent. */
  readonly due?: number;
}

export interface Client {
  /** The status and the body, of which only JSON is kept. A failure is counted, and is status 0. */
  call(path: string, call?: ClientCall): Promise<{ status: number; json: unknown }>;
  close(): void;
}

const MAX_ERRORS_KEPT = 1000;

const RAMP_MS = 5_000;
/** When the `n`th of so many begins. All in one moment would measure that moment, and go on in step with one another. */
export const rampOf = (n: number, clients: number): number => (n * RAMP_MS) / clients;

export function createClient(url: string, tally: Tally): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  const exchange = async (path: string, { method = 'GET', headers = {}, body, bytesPerSecond, due }: ClientCall) => {
    const started = due ?? performance.now();
    const sending = request(url + path, { method, headers, agent });
    const answered = once(sending, 'response') as Promise<[IncomingMessage]>;
    answered.catch(() => {});
    if (body instanceof Uint8Array) sending.end(body);
    else {
      for await (const part of body ?? []) {
        if (sending.destroyed) break;
        if (!sending.write(part)) await Promise.race([once(sending, 'drain'), answered]);
      }
      sending.end();
    }
    const [response] = await answered;
    const isJson = response.headers['content-type']?.includes('json') ?? false;
    const parts: Buffer[] = [];
    for await (const part of response as AsyncIterable<Buffer>) {
      tally.bytes += part.byteLength;
      if (isJson) parts.push(part);
      else if (bytesPerSecond) await pause((1000 * part.byteLength) / bytesPerSecond);
    }
    tally.latencies.push(performance.now() - started);
    const text = Buffer.concat(parts).toString('utf8');
    return { status: response.statusCode!, json: text === '' ? undefined : (JSON.parse(text) as unknown), response };
  };

  const note = (error: string) => {
    if (tally.errors.length < MAX_ERRORS_KEPT) tally.errors.push(error);
  };

  return {
    async call(path, call = {}) {
      try {
        const { status, json, response } = await exchange(path, call);
        const isBusy = (status === 429 || status === 503) && response.headers['retry-after'] !== undefined;
        if (isBusy) tally.refused += 1;
        else if (status >= 400) note(`${call.method ?? 'GET'} ${path}: ${status} ${JSON.stringify(json)}`);
        else tally.done += 1;
        return { status, json };
      } catch (error) {
        note(`${call.method ?? 'GET'} ${path}: ${error}`);
        return { status: 0, json: undefined };
      }
    },
    close: () => agent.destroy(),
  };
}

/** Bytes at a rate, piece by piece. */
export async function* paced(block: Uint8Array, bytes: number, bytesPerSecond: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < bytes; sent += block.byteLength) {
    yield block.subarray(0, Math.min(block.byteLength, bytes - sent));
    await pause((1000 * block.byteLength) / bytesPerSecond);
  }
}
