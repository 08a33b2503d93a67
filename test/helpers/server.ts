/** The service, listening on a port of its own over a folder of its own, and the calls that tests make of it. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MergeView } from '../../src/api/schemas/merge.js';
import { readConfig } from '../../src/config.js';
import type { ErrorCode } from '../../src/errors.js';
import { startServer } from '../../src/server.js';

export type Environment = Readonly<Record<string, string>>;
export type Json = Record<string, unknown>;

export interface CallOptions {
  readonly json?: unknown;
  readonly body?: RequestInit['body'];
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestServer {
  readonly url: string;
  readonly dataDir: string;
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
  /** A call that must answer with this status; its body as JSON. */
  expect(status: number, method: string, path: string, options?: CallOptions): Promise<Json>;
  /** A call that must be refused with this code; the problem. Fails if it shows a local path. */
  refuse(code: ErrorCode, status: number, method: string, path: string, options?: CallOptions): Promise<Json>;
  /** Uploads a checkpoint as a form: `name`, then the files in order. */
  upload(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<Response>;
  /** Asks for a merge, which must be accepted, and follows its events to the end. */
  merge(request: Json): Promise<MergeView>;
  /** Keys of everything in the store, temporary files with them. */
  stored(): Promise<string[]>;
  /** Ends the server and starts it again over the same folder. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function testServer(environment: Environment = {}): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'emr-api-'));
  const config = readConfig({ PORT: '0', EMR_DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...environment });
  let running = await startServer(config);

  const server: TestServer = {
    get url() {
      return running.url;
    },
    dataDir,
    call(method, path, { json, body, headers = {} } = {}) {
      const type: Record<string, string> = json === undefined ? {} : { 'content-type': 'application/json' };
      const content = json === undefined ? body : JSON.stringify(json);
      const init = content === undefined ? {} : { body: content };
      return fetch(running.url + path, { method, headers: { ...type, ...headers }, ...init });
    },
    async expect(status, method, path, options) {
      const response = await server.call(method, path, options);
      const text = await response.text();
      assert.equal(response.status, status, text);
      return text === '' ? {} : (JSON.parse(text) as Json);
    },
    async refuse(code, status, method, path, options) {
      return problemOf(await server.call(method, path, options), code, status, dataDir);
    },
    upload(name, files) {
      const form = new FormData();
      form.append('name', name);
      for (const [file, content] of Object.entries(files)) form.append('file', new Blob([content]), file);
      return server.call('POST', '/v1/checkpoints', { body: form });
    },
    async merge(request) {
      const { id } = await server.expect(202, 'POST', '/v1/merges', { json: request });
      const events = await (await server.call('GET', `/v1/merges/${id}/events`)).text();
      return parseEvents(events).at(-1)!.data as unknown as MergeView;
    },
    stored: () => filesBelow(dataDir),
    async restart() {
      await running.close();
      running = await startServer(config);
    },
    async close() {
      await running.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return server;
}

/** The body of a refusal, which must be a problem of this code and status without a local path. */
export async function problemOf(
  response: Response,
  code: ErrorCode,
  status: number,
  secret: string = tmpdir(),
): Promise<Json> {
  const text = await response.text();
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json(;|$)/, text);
  const problem = JSON.parse(text) as Json;
  assert.deepEqual({ code: problem.code, status: problem.status }, { code, status }, text);
  assert.equal(response.status, status);
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof problem[member], 'string', member);
  assert.equal(typeof problem.retry, 'boolean');
  assert.ok(!text.includes(secret), `shows a local path: ${text}`);
  assert.doesNotMatch(text, /\bat .*\.js:\d/, 'shows a stack');
  return problem;
}

/** Everything below a folder but folders; what vanishes while it is listed is left out. */
export async function filesBelow(folder: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(below, entry.name);
      return entry.isDirectory() ? filesBelow(folder, path) : [path];
    }),
  );
  return found.flat().sort();
}

export interface ServerEvent {
  readonly event: string;
  readonly data: Json;
}

export function parseEvents(text: string): ServerEvent[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('event: '))
    .map((block) => {
      const [event = '', data = ''] = block.split('\n');
      return { event: event.slice('event: '.length), data: JSON.parse(data.slice('data: '.length)) as Json };
    });
}
