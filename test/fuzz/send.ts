/** One hostile request, and what must hold of any answer. */
import assert from 'node:assert/strict';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { ERRORS } from '../../src/errors.js';

export interface HostileRequest {
  readonly method: string;
  /** As it is sent: nothing is encoded or resolved. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What is silent for so long hangs; an answer takes milliseconds. */
const HANG_MS = 20_000;

export type Send = (sent: HostileRequest) => Promise<Answer>;

export function sender(url: string): { readonly send: Send; close(): void } {
  const { hostname, port } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });

  const once = ({ method, path, headers, body }: HostileRequest): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = request({ hostname, port, method, path, agent, headers: { ...headers }, timeout: HANG_MS });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      sent.on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }),
        );
      });
      sent.end(body);
    });

  return {
    async send(sent) {
      let answer: Answer;
      try {
        answer = await once(sent);
      } catch (error) {
        // A server that has answered a refusal closes the connection; the request that was on its way is sent again.
        if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
        answer = await once(sent);
      }
      check(answer);
      return answer;
    },
    close: () => agent.destroy(),
  };
}

/** Never a 5xx, and every refusal a problem with a code of the table. */
function check({ status, headers, body }: Answer): void {
  const text = body.toString('utf8');
  assert.ok(status < 500, `${status} ${text}`);
  if (status < 400 || body.byteLength === 0) return;
  assert.match(headers['content-type'] ?? '', /^application\/problem\+json/, text);
  const problem = JSON.parse(text) as { code: string; status: number };
  assert.ok(Object.hasOwn(ERRORS, problem.code), text);
  assert.equal(problem.status, status, text);
  assert.doesNotMatch(text, /\bat .*\.js:\d|\/tmp\//, 'shows a stack or a path');
}
