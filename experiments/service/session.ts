import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeWeights, type RawTensor, type Tensors } from '../../examples/digits/tensor-files.js';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { encodeTensors } from '../tensor-bytes.js';
import { type MergeReport, type MergeRequest, NotOffered, type Rendering } from './types.js';

/** Between looks: short at first, since most merges take no longer, then ever longer, since looks take cores from jobs. */
const POLL_MS = { first: 15, most: 500 };

interface Run {
  readonly id: string;
  readonly state: string;
  readonly error?: unknown;
  readonly result?: unknown;
}

/** Side files of a checkpoint, by name. */
export type SideFiles = Readonly<Record<string, object>>;

/**
 * A server in embedded mode, with its store in a temporary folder, and the calls of its public API that the experiments
 * need. It starts with the first call. Each call throws with the server's own words.
 */
export function createSession() {
  let starting: Promise<{ url: string; close(): Promise<void> }> | undefined;
  const uploads = new Map<string, Promise<void>>();

  async function start() {
    const folder = mkdtempSync(join(tmpdir(), 'emr-experiments-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
    return startServer(readConfig({ PORT: '0', EMR_DATA_DIR: folder, LOG_LEVEL: 'warn' }));
  }

  async function call(path: string, init: RequestInit = {}): Promise<Response> {
    starting ??= start();
    const response = await fetch(new URL(path, (await starting).url), init);
    if (response.ok) return response;
    const text = `${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`;
    // Requests are a union over the methods, and over the kinds of jobs, that there are.
    const unknown = /Invalid discriminator value|querystring: Unrecognized key/.test(text);
    if (unknown || (response.status === 404 && path === '/v1/jobs')) {
      throw new NotOffered(text);
    }
    throw new Error(text);
  }
  const json = async <T>(path: string, init?: RequestInit) => (await (await call(path, init)).json()) as T;
  const post = <T>(path: string, body: object) =>
    json<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

  /** Starts a merge or a job, or finds it, and waits for its end. */
  async function finish(path: '/v1/merges' | '/v1/jobs', request: object): Promise<Run> {
    let run = await post<Run>(path, request);
    for (let wait = POLL_MS.first; run.state === 'queued' || run.state === 'running'; ) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      wait = Math.min(1.2 * wait, POLL_MS.most);
      run = await json<Run>(`${path}/${run.id}`);
    }
    if (run.state === 'succeeded') return run;
    throw new Error(`${path}/${run.id} is ${run.state}: ${JSON.stringify(run.error)}`);
  }

  const bytes = async (path: string) => new Uint8Array(await (await call(path)).arrayBuffer());

  return {
    /** Uploads a checkpoint, once for each name. */
    upload(
      name: string,
      make: () => Promise<{ tensors: ReadonlyMap<string, RawTensor>; files?: SideFiles }>,
    ): Promise<void> {
      const upload = async () => {
        const { tensors, files = {} } = await make();
        const form = new FormData();
        form.append('name', name);
        form.append('file', new Blob([encodeTensors(tensors)]), 'model.safetensors');
        for (const [file, content] of Object.entries(files))
          form.append('file', new Blob([JSON.stringify(content)]), file);
        await call('/v1/checkpoints', { method: 'POST', body: form });
      };
      const found = uploads.get(name) ?? upload();
      uploads.set(name, found);
      return found;
    },

    /** Gives the id of a merge that has succeeded. @throws NotOffered */
    merge: async (request: MergeRequest): Promise<string> => (await finish('/v1/merges', request)).id,

    /** The result of a job that has succeeded. @throws NotOffered */
    job: async <T>(request: object): Promise<T> => (await finish('/v1/jobs', request)).result as T,

    report: (merge: string) => json<MergeReport>(`/v1/merges/${merge}/report`),

    /** One of the merge's artifacts. */
    file: (merge: string, path: string) => bytes(`/v1/merges/${merge}/files/${path}`),

    /** A task's model, rendered as the query says. */
    async taskWeights(merge: string, task: string, rendering: Rendering = {}): Promise<Tensors> {
      const query = new URLSearchParams(rendering).toString();
      return decodeWeights(await bytes(`/v1/merges/${merge}/tasks/${task}/model.safetensors${query && `?${query}`}`));
    },

    async close(): Promise<void> {
      await (await starting)?.close();
    },
  };
}

export type Session = ReturnType<typeof createSession>;
