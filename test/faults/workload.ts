/** What is merged in every trial, and what must come out of it. */
import { createHash } from 'node:crypto';
import type { ApiClient } from '../helpers/api-client.js';
import { type FloatSpec, folderOf, randomCheckpoints } from '../helpers/random-checkpoint.js';

/** Sizes from one request to S3 to several parts of an upload. */
const SIZES: Readonly<Record<string, readonly FloatSpec[]>> = {
  small: [
    { name: 'a', shape: [70_001], dtypes: ['F32', 'BF16'] },
    { name: 'b', shape: [33], dtypes: ['F16'] },
  ],
  medium: Array.from({ length: 4 }, (_, i) => ({ name: `w.${i}`, shape: [200, 1000], dtypes: ['F32'] })),
  large: Array.from({ length: 4 }, (_, i) => ({ name: `w.${i}`, shape: [700, 1000], dtypes: ['F32'] })),
};
const TASKS = 2;

const requestOf = (size: string, rest: object) => ({
  base: `base-${size}`,
  tasks: Array.from({ length: TASKS }, (_, t) => ({ name: `task-${t + 1}`, checkpoint: `tuned-${size}-${t + 1}` })),
  ...rest,
});

/** The last runs longest. */
export const REQUESTS: readonly object[] = [
  requestOf('small', { method: { type: 'emr' } }),
  requestOf('medium', { method: { type: 'emr' } }),
  requestOf('medium', { method: { type: 'ties', lambda: 1, density: 0.2 } }),
  requestOf('medium', { method: { type: 'average' }, dtype: 'BF16' }),
  requestOf('large', { method: { type: 'emr' }, engine: 'scalar' }),
];

export async function uploadAll(api: ApiClient): Promise<void> {
  for (const [index, [size, specs]] of Object.entries(SIZES).entries()) {
    const checkpoints = randomCheckpoints(specs, TASKS, 7 + index);
    for (const [t, tensors] of checkpoints.entries()) {
      const name = t === 0 ? `base-${size}` : `tuned-${size}-${t}`;
      await api.put(name, folderOf(tensors, { 'config.json': `{"task":${t}}` }));
    }
  }
}

export interface Expected {
  readonly id: string;
  /** As `GET …/files` lists them. */
  readonly artifacts: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
  /** Of a model that is made of them. */
  readonly model: string;
}

export async function modelHash(api: ApiClient, id: string): Promise<string> {
  const bytes = await api.bytes(`/v1/merges/${id}/tasks/task-2/model.safetensors`);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Runs merges without a fault, and deletes them again; what each gave, at the index of its request. */
export async function referenceRun(api: ApiClient, requests: readonly number[]): Promise<Expected[]> {
  const expected: Expected[] = [];
  for (const index of requests) {
    const { id } = await api.post<{ id: string }>('/v1/merges', REQUESTS[index]!, [202]);
    await api.ended(id);
    expected[index] = { id, artifacts: await api.files(id), model: await modelHash(api, id) };
    await removeMerge(api, id);
  }
  return expected;
}

export async function removeMerge(api: ApiClient, id: string): Promise<void> {
  const response = await fetch(`${api.url}/v1/merges/${id}`, { method: 'DELETE' });
  if (response.status !== 204) throw new Error(`DELETE ${id}: ${response.status} ${await response.text()}`);
}
