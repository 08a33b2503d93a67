/** A client of the HTTP API on a real socket, for tests: what a user's program would do, with checks on the way. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A merge as the API shows it, as far as tests look at it. */
export interface MergeBody {
  readonly id: string;
  readonly state: 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';
  readonly attempts: number;
  readonly progress?: { readonly phase: string; readonly bytes_done: number; readonly bytes_total: number };
  readonly error?: { readonly code: string; readonly detail: string };
}

function parseEvents(text: string): { event: string; data: MergeBody }[] {
  const blocks = text.split('\n\n').filter((block) => block.startsWith('event: '));
  return blocks.map((block) => {
    const [event = '', data = ''] = block.split('\n');
    return { event: event.slice('event: '.length), data: JSON.parse(data.slice('data: '.length)) };
  });
}

export type Folder = Iterable<readonly [string, Uint8Array]>;

export function apiClient(url: string) {
  const ask = async <T>(method: string, path: string, statuses: number[], body?: object): Promise<T> => {
    const response = await fetch(url + path, {
      method,
      ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
    });
    const text = await response.text();
    assert.ok(statuses.includes(response.status), `${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  };

  const client = {
    url,
    get: <T>(path: string) => ask<T>('GET', path, [200]),
    post: <T>(path: string, body: object, statuses = [200, 201, 202]) => ask<T>('POST', path, statuses, body),

    async upload(name: string, files: Folder): Promise<void> {
      const form = new FormData();
      form.append('name', name);
      for (const [file, bytes] of files) form.append('files', new Blob([bytes as Uint8Array<ArrayBuffer>]), file);
      const response = await fetch(`${url}/v1/checkpoints`, { method: 'POST', body: form });
      assert.equal(response.status, 201, await response.text());
    },

    async put(name: string, files: Folder): Promise<void> {
      for (const [file, bytes] of files) {
        const path = `${url}/v1/checkpoints/${name}/files/${file}`;
        const response = await fetch(path, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer> });
        assert.equal(response.status, 200, await response.text());
      }
      await ask('POST', `/v1/checkpoints/${name}/complete`, [201]);
    },

    merge: (id: string) => client.get<MergeBody>(`/v1/merges/${id}`),

    /** Follows the events of a merge until it ends. */
    async events(id: string): Promise<{ event: string; data: MergeBody }[]> {
      return parseEvents(await (await fetch(`${url}/v1/merges/${id}/events`)).text());
    },

    /** Waits until the merge has ended, and fails unless it ended so. */
    async ended(id: string, state: MergeBody['state'] = 'succeeded'): Promise<MergeBody> {
      const merge = (await client.events(id)).at(-1)!.data;
      assert.equal(merge.state, state, JSON.stringify(merge.error));
      return merge;
    },

    async bytes(path: string, headers: Record<string, string> = {}): Promise<Buffer> {
      const response = await fetch(url + path, { headers });
      const body = Buffer.from(await response.arrayBuffer());
      assert.ok(response.ok, `${path}: ${response.status} ${body.subarray(0, 500)}`);
      return body;
    },

    async download(path: string, file: string): Promise<void> {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, await client.bytes(path));
    },

    async files(id: string): Promise<{ path: string; bytes: number; sha256: string }[]> {
      return (await client.get<{ files: { path: string; bytes: number; sha256: string }[] }>(`/v1/merges/${id}/files`))
        .files;
    },
  };
  return client;
}

export type ApiClient = ReturnType<typeof apiClient>;
