import { LRUCache } from 'lru-cache';
import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import { keys } from '../catalog/keys.js';
import type { RequestFact, ResultFact } from '../catalog/merge-facts.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import type { ObjectReader, Store } from '../store/types.js';
import type { Artifact } from './artifact-writer.js';
import { bundlePaths } from './bundle.js';
import { CHUNKS_HELD, type Reconstructor } from './reconstruct.js';
import { methodOf } from './registry.js';
import { requireResult } from './require-result.js';
import { loadMergeOutput, loadTaskModel, type MergeOutput, requireBase, type TaskModel } from './task-model.js';
import { type Rendering, shardIndexFile, taskModelFile, type VirtualFile } from './virtual-file.js';

/**
 * Of tensors in headers and layouts, some 200 bytes each, by the tasks that were used last: hundreds of usual models, or
 * one of the largest. Others are read again.
 */
const CACHED_ENTRIES = 1_000_000;
const entriesOf = ({ layout, output, mask, extras, base }: TaskModel) =>
  1 + layout.tensors.length + output.size + (mask?.size ?? 0) + extras.size + base.tensors.length;
/** Of figures in reports, for each tensor and task: to read them is most of the time to the first byte. */
const CACHED_FIGURES = 1_000_000;
const figuresOf = ({ places, report }: MergeOutput) =>
  // The largest is held too, alone: to read it again for every task would take minutes.
  Math.min(CACHED_FIGURES, 1 + places.size * (1 + Object.keys(report.tasks).length));

/** A file that can be sent: its size and tag are known before its bytes. */
export interface Download {
  readonly bytes: number;
  /** Strong, without quotes. */
  readonly etag: string;
  readonly name: string;
  /**
   * Buffers are used again: at most CHUNKS_HELD chunks may be held while another is asked for, and the last ones until
   * `consumed` settles (reconstruct.ts).
   */
  read(start: number, end: number, consumed: Promise<unknown>): AsyncGenerator<Uint8Array>;
}

export interface Models {
  artifacts(namespace: string, fact: RequestFact): Promise<readonly Artifact[]>;
  /** `unknown_file`. */
  artifact(namespace: string, fact: RequestFact, path: string): Promise<Download>;
  /** A task's model in one file. */
  taskModel(namespace: string, fact: RequestFact, task: string, rendering: Rendering): Promise<Download>;
  /** The files of the folder that the task's checkpoint was. */
  taskFiles(namespace: string, fact: RequestFact, task: string, rendering: Rendering): Promise<readonly Download[]>;
  taskFile(namespace: string, fact: RequestFact, task: string, file: string, rendering: Rendering): Promise<Download>;
}

export interface ModelsOptions {
  readonly store: Store;
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  readonly reconstructor: Reconstructor;
}

export function createModels({ store, checkpoints, merges, reconstructor }: ModelsOptions): Models {
  const cache = new LRUCache<string, TaskModel>({ maxSize: CACHED_ENTRIES, sizeCalculation: entriesOf });
  /** By attempt. */
  const outputs = new LRUCache<string, MergeOutput>({ maxSize: CACHED_FIGURES, sizeCalculation: figuresOf });

  const resultOf = async (namespace: string, fact: RequestFact): Promise<ResultFact> => {
    return requireResult(fact.id, await merges.outcome(namespace, fact.id));
  };

  const load = async (namespace: string, fact: RequestFact, task: string): Promise<TaskModel> => {
    const result = await resultOf(namespace, fact);
    const key = [namespace, fact.id, result.attempt, task].join('/');
    // Looked up every time: the base may have been deleted since, or uploaded again to another place.
    const base = await requireBase(checkpoints, namespace, fact);
    const cached = cache.get(key);
    if (cached) return { ...cached, base };
    const shared = async () => {
      const known = outputs.get(result.attempt) ?? (await loadMergeOutput(store, namespace, fact, result));
      outputs.set(result.attempt, known);
      return known;
    };
    const model = await loadTaskModel(store, shared, base, namespace, fact, result, task);
    cache.set(key, model);
    return model;
  };

  const virtual = (model: TaskModel, name: string, file: VirtualFile): Download => ({
    name,
    bytes: file.bytes,
    etag: file.etag,
    read: (start, end, consumed) =>
      reconstructor.read(
        keys.attempt(model.namespace, model.fact.id, model.result.attempt),
        file,
        start,
        end,
        consumed,
      ),
  });

  const stored = (
    namespace: string,
    { id }: RequestFact,
    attempt: string,
    artifact: Artifact,
    name: string,
  ): Download => ({
    name,
    bytes: artifact.bytes,
    etag: artifact.sha256,
    read: (start, end) =>
      readObject(() => store.openReader(keys.attempt(namespace, id, attempt) + artifact.path), start, end),
  });

  const artifact = async (namespace: string, fact: RequestFact, path: string): Promise<Download> => {
    const result = await resultOf(namespace, fact);
    const found = result.artifacts.find((known) => known.path === path);
    if (found) return stored(namespace, fact, result.attempt, found, path.split('/').at(-1)!);
    if (path === bundlePaths.model) {
      throw new EmrError(
        'not_for_this_method',
        `${fact.request.method.type} makes a model for each task: see tasks/.`,
        {
          method: fact.request.method.type,
        },
      );
    }
    throw new EmrError('unknown_file', `The merge has no file ${path}.`, { file: path });
  };

  const taskFiles = async (namespace: string, fact: RequestFact, task: string, rendering: Rendering) => {
    requireRenderable(fact, rendering);
    const model = await load(namespace, fact, task);
    const weights = model.layout.weights.map(({ file, tensors }) =>
      virtual(model, file, taskModelFile(model, rendering, tensors)),
    );
    const others = model.layout.files.map((file) => {
      if (rendering.dtype && file === model.layout.index) return virtual(model, file, shardIndexFile(model, rendering));
      const path = bundlePaths.file(task, file);
      const found = model.result.artifacts.find((known) => known.path === path)!;
      return stored(namespace, fact, model.result.attempt, found, file);
    });
    return [...weights, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
  };

  return {
    artifact,
    taskFiles,
    artifacts: async (namespace, fact) => (await resultOf(namespace, fact)).artifacts,
    async taskModel(namespace, fact, task, rendering) {
      requireRenderable(fact, rendering);
      const model = await load(namespace, fact, task);
      return virtual(model, bundlePaths.model, taskModelFile(model, rendering));
    },
    async taskFile(namespace, fact, task, file, rendering) {
      const found = (await taskFiles(namespace, fact, task, rendering)).find((known) => known.name === file);
      if (found) return found;
      throw new EmrError('unknown_file', `The checkpoint of task ${task} had no file ${file}.`, { task, file });
    },
  };
}

/** A rescaler, scope or step can only be chosen where there are any. */
function requireRenderable(fact: RequestFact, { rescaler, scope, steps }: Rendering): void {
  const { method } = fact.request;
  const isPlain = rescaler === undefined && scope === undefined && steps === undefined;
  if (methodOf(method).output === 'modulated' || isPlain) return;
  throw new EmrError('not_for_this_method', `A ${method.type} merge has no rescalers.`, { method: method.type });
}

/** Large enough that system calls do not count; three in flight are still small (docs/design.md, "Sending"). */
const OBJECT_CHUNK_BYTES = 2 ** 20;
const OBJECT_RING = CHUNKS_HELD + 1; // these are the download's own, and go with it

async function* readObject(open: () => Promise<ObjectReader>, start: number, end: number): AsyncGenerator<Uint8Array> {
  const reader = await open();
  try {
    const ring = Array.from({ length: OBJECT_RING }, () =>
      Buffer.allocUnsafeSlow(Math.min(OBJECT_CHUNK_BYTES, end - start)),
    );
    for (let at = start, turn = 0; at < end; at += OBJECT_CHUNK_BYTES, turn++) {
      const chunk = ring[turn % OBJECT_RING]!.subarray(0, Math.min(OBJECT_CHUNK_BYTES, end - at));
      await reader.read(chunk, at);
      yield chunk;
    }
  } finally {
    await reader.close();
  }
}
