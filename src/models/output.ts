import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { JobFact } from '../catalog/job-facts.js';
import type { Upload, Uploads } from '../catalog/uploads.js';
import { layoutSafetensors } from '../checkpoint/safetensors-layout.js';
import { EmrError } from '../errors.js';
import type { JobRequest } from './request.js';
import type { RawTensor } from './task.js';

const OUTPUT_FILE = 'model.safetensors';

/** The name of the checkpoint that a job makes, if it makes one. */
export const outputOf = (request: JobRequest): string | undefined => ('output' in request ? request.output : undefined);

/** By which a checkpoint's record says which job made it. */
const sourceOf = (job: string) => `job:${job}`;

/** Whether the job's checkpoint is there; `name_taken` if another has its name. */
export async function hasOutput(
  checkpoints: CheckpointCatalog,
  namespace: string,
  job: string,
  output: string,
): Promise<boolean> {
  const record = await checkpoints.find(namespace, output);
  if (record === undefined || record.source === sourceOf(job)) return record !== undefined;
  throw new EmrError('name_taken', `A checkpoint named ${output} exists: delete it first, or choose another name.`, {
    checkpoint: output,
  });
}

/** Stores what a job computed as the checkpoint that it was asked for; nothing if an attempt before has done so. */
export async function storeOutput(
  { uploads, checkpoints }: { uploads: Uploads; checkpoints: CheckpointCatalog },
  namespace: string,
  { id, request }: JobFact,
  tensors: readonly RawTensor[],
  signal: AbortSignal,
): Promise<void> {
  const output = outputOf(request);
  if (output === undefined || (await hasOutput(checkpoints, namespace, id, output))) return;
  try {
    const upload = await uploads.begin(namespace, output, sourceOf(id));
    await commitFile(upload, tensors, signal);
  } catch (error) {
    // Another attempt at this job may have been first.
    if (!(error instanceof EmrError) || error.code !== 'name_taken') throw error;
    await hasOutput(checkpoints, namespace, id, output);
  }
}

async function commitFile(upload: Upload, tensors: readonly RawTensor[], signal: AbortSignal): Promise<void> {
  try {
    await upload.add(OUTPUT_FILE, fileOf(tensors, signal));
    signal.throwIfAborted();
    await upload.commit();
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

async function* fileOf(tensors: readonly RawTensor[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const layout = layoutSafetensors(tensors);
  const bytes = new Map(tensors.map((tensor) => [tensor.name, tensor.bytes]));
  yield layout.header;
  for (const { name } of layout.tensors) {
    signal.throwIfAborted();
    yield bytes.get(name)!;
  }
}
