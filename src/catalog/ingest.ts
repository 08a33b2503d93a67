import { createHash } from 'node:crypto';
import { checkpointDigest } from '../checkpoint/digest.js';
import { beyond, type FormatLimits } from '../checkpoint/limits.js';
import { mapBounded } from '../checkpoint/map-bounded.js';
import { readCheckpointFiles } from '../checkpoint/sharded.js';
import type { TensorInfo } from '../checkpoint/types.js';
import { isFloat } from '../dtype.js';
import { EmrError } from '../errors.js';
import { NAME_PATTERN } from '../names.js';
import type { ObjectReader, Store } from '../store/types.js';
import type { CheckpointCatalog } from './checkpoints.js';
import { writeFact } from './facts.js';
import { keys } from './keys.js';
import type { CheckpointFile, CheckpointRecord, LeftOut, RecordedTensor } from './records.js';
import type { Sources } from './sources.js';

export type IngestFile = CheckpointFile;

/** Over S3 each is a request of milliseconds. */
const STATS_AT_ONCE = 16;

export interface Ingest {
  /** `name_taken` if there is a checkpoint of this name. */
  requireFree(namespace: string, name: string): Promise<void>;
  /** `too_large` if one checkpoint may not have so many files. */
  requireFiles(count: number): void;
  /**
   * Checks the files as a checkpoint and records it; its first commit gets the name. `upload_incomplete` if somebody deleted
   * uploaded files meanwhile.
   */
  commit(namespace: string, name: string, files: IngestFile[], from?: Origin): Promise<CheckpointRecord>;
}

/** Where the files come from, if not from a client, and what of them is left there. */
export interface Origin {
  readonly source: string;
  readonly leftOut?: readonly LeftOut[];
}

export interface IngestOptions {
  readonly store: Store;
  readonly sources: Sources;
  readonly checkpoints: CheckpointCatalog;
  readonly limits: FormatLimits;
  readonly now: () => number;
}

/** Turns files that lie somewhere into a checkpoint: every rule of the formats is checked here, once. */
export function createIngest({ store, sources, checkpoints, limits, now }: IngestOptions): Ingest {
  const requireFree = async (namespace: string, name: string) => {
    if (!NAME_PATTERN.test(name)) {
      throw new EmrError('invalid_name', `A checkpoint's name must match ${NAME_PATTERN.source}.`, {
        checkpoint: name,
      });
    }
    if (await checkpoints.find(namespace, name)) throw taken(name);
  };

  return {
    requireFree,
    requireFiles(count) {
      if (count > limits.maxFiles) throw beyond('too_large', 'The checkpoint has more files', 'maxFiles', limits);
    },
    async commit(namespace, name, files, from) {
      await requireFree(namespace, name);
      const byName = new Map(files.map((file) => [file.name, file]));
      const { tensors, index } = await readCheckpointFiles(
        files.map((file) => ({ name: file.name, open: () => sources.open(file) })),
        limits,
      );
      const record: CheckpointRecord = {
        name,
        created_at: new Date(now()).toISOString(),
        digest: checkpointDigest(files),
        ...(from ? { source: from.source } : {}),
        files: [...files].sort((a, b) => (a.name < b.name ? -1 : 1)),
        ...(from?.leftOut?.length ? { left_out: [...from.leftOut] } : {}),
        tensors: await hashIntegerTensors(tensors, (file) => sources.open(byName.get(file)!)),
        ...(index ? { index } : {}),
      };
      const recordKey = keys.checkpointRecord(namespace, name);
      if (!(await writeFact(store, recordKey, record))) throw taken(name);
      // Whoever deletes the checkpoint looks for a record after the files: one of the two finds that they are gone.
      const gone = await findGone(store, files);
      if (gone === undefined) return record;
      // Not that of the next upload of this name.
      const latest = await checkpoints.find(namespace, name);
      if (latest?.files.some(({ location }) => files.some((file) => file.location.key === location.key)))
        await store.delete(recordKey);
      throw new EmrError('upload_incomplete', `${gone} was deleted meanwhile: upload the files again.`, { file: gone });
    },
  };
}

/** SHA-256 of each tensor that is not float: the planner compares them among checkpoints without reading them again. */
async function hashIntegerTensors(
  tensors: readonly TensorInfo[],
  open: (file: string) => Promise<ObjectReader>,
): Promise<RecordedTensor[]> {
  const chunk = Buffer.allocUnsafe(2 ** 20);
  const hashed = new Map<TensorInfo, string>();
  const integers = tensors.filter((tensor) => !isFloat(tensor.dtype));
  for (const file of new Set(integers.map((tensor) => tensor.file))) {
    const reader = await open(file);
    try {
      for (const tensor of integers) {
        if (tensor.file !== file) continue;
        const hash = createHash('sha256');
        for (let done = 0; done < tensor.bytes; done += chunk.byteLength) {
          const part = chunk.subarray(0, Math.min(chunk.byteLength, tensor.bytes - done));
          await reader.read(part, tensor.offset + done);
          hash.update(part);
        }
        hashed.set(tensor, hash.digest('hex'));
      }
    } finally {
      await reader.close();
    }
  }
  return tensors.map((tensor) => {
    const sha256 = hashed.get(tensor);
    return { ...tensor, shape: [...tensor.shape], ...(sha256 ? { sha256 } : {}) };
  });
}

/** The name of an uploaded file that is not there. */
async function findGone(store: Store, files: readonly IngestFile[]): Promise<string | undefined> {
  const uploaded = files.filter(({ location }) => location.in === 'store' && keys.isUploaded(location.key));
  const found = await mapBounded(uploaded, STATS_AT_ONCE, ({ location }) => store.stat(location.key));
  return uploaded.find((_file, n) => found[n] === undefined)?.name;
}

function taken(name: string): EmrError {
  return new EmrError('name_taken', `A checkpoint named ${name} exists: delete it first, or choose another name.`, {
    checkpoint: name,
  });
}
