import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { MergeCatalog } from '../catalog/merges.js';
import type { CheckpointFile, CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import type { Sources } from '../catalog/sources.js';
import { OWN_FILES } from '../checkpoint/limits.js';
import { parseHeader } from '../checkpoint/safetensors-read.js';
import { elementCount } from '../dtype.js';
import { EmrError } from '../errors.js';
import type { Download, Models } from '../merge/models.js';
import type { Rendering } from '../merge/virtual-file.js';
import { MAX_MODEL_BYTES, MAX_TOPOLOGY_BYTES } from './limits.js';
import type { RawTensor } from './task.js';
import { parseTopology, TOPOLOGY_FILE, type Topology } from './topology.js';

/** A task's model of a merge, as it can be downloaded. */
export interface MergedModelRef extends Rendering {
  readonly merge: string;
  readonly task: string;
}

/** How jobs read checkpoints and merged models. What it refuses is refused from headers, before weights are read. */
export interface Inputs {
  record(namespace: string, name: string): Promise<CheckpointRecord>;
  /** `model_missing`, `model_invalid`, `model_too_large`. */
  topology(record: CheckpointRecord): Promise<Topology>;
  tensors(record: CheckpointRecord, wanted: readonly RecordedTensor[], signal: AbortSignal): Promise<RawTensor[]>;
  /** The merge's id. `unknown_merge`, `merge_not_ready`, `merge_failed`, `unknown_task`, and as `topology`. */
  mergedTopology(namespace: string, ref: MergedModelRef): Promise<{ id: string; topology: Topology }>;
  mergedTensors(namespace: string, ref: MergedModelRef, signal: AbortSignal): Promise<RawTensor[]>;
}

export interface InputsOptions {
  readonly sources: Sources;
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  /** The models of merges, rebuilt while they are read. */
  readonly downloads: Models;
}

export function createInputs({ sources, checkpoints, merges, downloads }: InputsOptions): Inputs {
  const readFile = async (file: CheckpointFile): Promise<Uint8Array> => {
    const reader = await sources.open(file);
    try {
      const bytes = new Uint8Array(reader.bytes);
      await reader.read(bytes, 0);
      return bytes;
    } finally {
      await reader.close();
    }
  };

  return {
    record: (namespace, name) => checkpoints.get(namespace, name),

    async topology(record) {
      const file = record.files.find(({ name }) => name === TOPOLOGY_FILE);
      if (file === undefined) throw withoutTopology(record.name);
      requireSmallTopology(record.name, file.bytes);
      const elements = record.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
      requireSmallModel(record.name, elements);
      return parseTopology(await readFile(file), record.name);
    },

    async tensors(record, wanted, signal) {
      const read: RawTensor[] = [];
      for (const file of record.files) {
        const inFile = wanted.filter((tensor) => tensor.file === file.name);
        if (inFile.length === 0) continue;
        const reader = await sources.open(file);
        try {
          for (const { name, dtype, shape, offset, bytes } of inFile) {
            signal.throwIfAborted();
            const target = new Uint8Array(bytes);
            await reader.read(target, offset);
            read.push({ name, dtype, shape, bytes: target });
          }
        } finally {
          await reader.close();
        }
      }
      return read;
    },

    async mergedTopology(namespace, ref) {
      const fact = await merges.get(namespace, ref.merge);
      const owner = `task ${ref.task} of merge ${fact.id}`;
      const model = await downloads.taskModel(namespace, fact, ref.task, rendering(ref));
      requireSmallModel(owner, model.bytes / Float32Array.BYTES_PER_ELEMENT);
      const file = await downloads.taskFile(namespace, fact, ref.task, TOPOLOGY_FILE, rendering(ref)).catch((error) => {
        throw error instanceof EmrError && error.code === 'unknown_file' ? withoutTopology(owner) : error;
      });
      requireSmallTopology(owner, file.bytes);
      return { id: fact.id, topology: parseTopology(await readDownload(file), owner) };
    },

    async mergedTensors(namespace, ref, signal) {
      const fact = await merges.get(namespace, ref.merge);
      const file = await readDownload(await downloads.taskModel(namespace, fact, ref.task, rendering(ref)), signal);
      // A header that we wrote: its length is a multiple of 8, and tensors come in falling size of their elements.
      const { tensors } = parseHeader(file, file.byteLength, OWN_FILES);
      // Again: in 16 bits the file was half as large.
      requireSmallModel(
        `task ${ref.task} of merge ${fact.id}`,
        tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      );
      return tensors.map(({ name, dtype, shape, offset, bytes }) => {
        return { name, dtype, shape, bytes: file.slice(offset, offset + bytes) };
      });
    },
  };
}

function rendering({ merge: _merge, task: _task, ...chosen }: MergedModelRef): Rendering {
  return chosen;
}

/** A whole download in memory. */
async function readDownload(file: Download, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(file.bytes);
  let at = 0;
  // Every chunk is copied at once, so none is held.
  for await (const chunk of file.read(0, file.bytes, Promise.resolve())) {
    signal?.throwIfAborted();
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function withoutTopology(owner: string): EmrError {
  return new EmrError('model_missing', `${owner} has no ${TOPOLOGY_FILE}: upload the topology with its weights.`, {
    model: owner,
  });
}

function requireSmallTopology(owner: string, bytes: number): void {
  if (bytes <= MAX_TOPOLOGY_BYTES) return;
  throw tooLarge(owner, `${TOPOLOGY_FILE} of ${owner} has ${bytes} bytes`, MAX_TOPOLOGY_BYTES);
}

function requireSmallModel(owner: string, elements: number): void {
  const bytes = elements * Float32Array.BYTES_PER_ELEMENT;
  if (bytes <= MAX_MODEL_BYTES) return;
  throw tooLarge(owner, `${owner} takes ${bytes} bytes as F32`, MAX_MODEL_BYTES);
}

function tooLarge(owner: string, what: string, limit: number): EmrError {
  return new EmrError('model_too_large', `${what}; a model that runs may have ${limit}.`, { model: owner, limit });
}
