import { openAsBlob } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readEvents } from './events.js';

/** A request for a merge, as `POST /v1/merges` takes it. */
export interface MergeRequest {
  readonly name: string;
  readonly base: string;
  readonly tasks: readonly { readonly name: string; readonly checkpoint: string }[];
  readonly method: { readonly type: string };
}

/** What a merge would do, of `POST /v1/merges/plan`. */
export interface Plan {
  readonly tensors: readonly { readonly name: string; readonly class: string }[];
  readonly parameters: number;
  readonly output_bytes: number;
}

/** A merge's state, of its events. */
interface Merge {
  readonly id: string;
  readonly state: string;
  readonly progress?: { readonly percent: number };
  readonly error?: unknown;
}

export interface StoredFile {
  readonly path: string;
  readonly bytes: number;
}

/** The few calls of the public API that this example needs; each throws with the server's own words. */
export function createClient(url: string, signal: AbortSignal) {
  async function call(path: string, init: RequestInit = {}): Promise<Response> {
    const response = await fetch(new URL(path, url), { ...init, signal });
    if (response.ok) return response;
    throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`);
  }
  const json = async <T>(path: string, init?: RequestInit) => (await (await call(path, init)).json()) as T;
  const post = <T>(path: string, body: unknown) =>
    json<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

  return {
    /** Uploads all files of a folder as the checkpoint `name`. */
    async upload(name: string, folder: string) {
      const form = new FormData();
      form.append('name', name);
      for (const file of await readdir(folder)) form.append('file', await openAsBlob(join(folder, file)), file);
      return json<{ bytes: number; parameters: number }>('/v1/checkpoints', { method: 'POST', body: form });
    },

    plan: (request: MergeRequest) => post<Plan>('/v1/merges/plan', request),

    /** Starts a merge and waits for its end. */
    async merge(request: MergeRequest, onPercent: (percent: number) => void): Promise<string> {
      let merge = await post<Merge>('/v1/merges', request);
      const events = await call(`/v1/merges/${merge.id}/events`);
      for await (const { data } of readEvents(events.body!)) {
        merge = JSON.parse(data) as Merge;
        onPercent(merge.state === 'succeeded' ? 100 : (merge.progress?.percent ?? 0));
      }
      if (merge.state === 'succeeded') return merge.id;
      throw new Error(`The merge ${request.name} is ${merge.state}: ${JSON.stringify(merge.error)}`);
    },

    /** What the merge stored. */
    async files(id: string): Promise<readonly StoredFile[]> {
      return (await json<{ files: StoredFile[] }>(`/v1/merges/${id}/files`)).files;
    },

    /** A task's model, as a safetensors file that the server makes while it sends it. */
    async taskModel(id: string, task: string): Promise<Uint8Array> {
      const response = await call(`/v1/merges/${id}/tasks/${task}/model.safetensors`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

export type Client = ReturnType<typeof createClient>;
