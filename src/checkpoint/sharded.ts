import { EmrError } from '../errors.js';
import type { ObjectReader } from '../store/types.js';
import { PICKLE_ADVICE } from './foreign.js';
import type { FormatLimits } from './limits.js';
import { mapBounded } from './map-bounded.js';
import { compareUtf8 } from './order.js';
import { shown } from './safetensors-entries.js';
import { readHeader } from './safetensors-read.js';
import { readIndex } from './shard-index.js';
import type { TensorInfo } from './types.js';

/** A file of a checkpoint's folder: its name, and a way to open it that the caller need not undo. */
export interface CheckpointSource {
  readonly name: string;
  open(): Promise<ObjectReader>;
}

export interface CheckpointContents {
  /** All tensors of all safetensors files, in UTF-8 byte order of their names, which are unique. */
  readonly tensors: readonly TensorInfo[];
  /** The name of the index file; absent if the checkpoint is one safetensors file. */
  readonly index?: string;
}

/** Enough to hide a store's latency; each may hold one header of the largest size. */
const SHARDS_AT_ONCE = 8;

/**
 * Finds the tensors of a checkpoint from the files of its folder: one `*.safetensors` file of any name, or one
 * `*.safetensors.index.json` with its shards, which must agree both ways. Only headers and the index are read. Other
 * files, and those in folders below (a `/` in the name), are not looked at.
 *
 * Errors: `checkpoint_empty`, `checkpoint_ambiguous`, `index_*`, `safetensors_*`, `dtype_refused`, `too_large`; those
 * about one file name it in `facts.file`.
 */
export async function readCheckpointFiles(
  files: readonly CheckpointSource[],
  limits: FormatLimits,
): Promise<CheckpointContents> {
  const here = files.filter(({ name }) => !name.includes('/'));
  const weights = here.filter(({ name }) => name.endsWith('.safetensors'));
  const indexes = here.filter(({ name }) => name.endsWith('.safetensors.index.json'));
  if (indexes.length > 1) throw ambiguous('index', indexes);

  const index = indexes[0];
  if (!index) {
    if (weights.length === 0) throw empty(here);
    if (weights.length > 1) throw ambiguous('safetensors', weights);
    return { tensors: sortTensors(await readOne(weights[0]!, limits)) };
  }

  const shards = await about(index.name, () => withReader(index, (reader) => readIndex(reader, limits)));
  matchFiles(index.name, shards, weights);
  const contents = await mapBounded(weights, SHARDS_AT_ONCE, async (file) => {
    const tensors = await readOne(file, limits);
    // Here and not at the end, so that no more tensors are ever kept than the index lists.
    requireListed(index.name, shards, tensors);
    return tensors;
  });
  const tensors = contents.flat();
  requireFound(index.name, shards, tensors);
  return { tensors: sortTensors(tensors), index: index.name };
}

/** The shards that the index names are the safetensors files that are there, neither more nor fewer. */
function matchFiles(index: string, shards: ReadonlyMap<string, string>, weights: readonly CheckpointSource[]): void {
  const named = new Set(shards.values());
  const present = new Set(weights.map(({ name }) => name));
  for (const shard of named) {
    if (present.has(shard)) continue;
    const detail = `${shown(index)} names the shard ${shown(shard)}, which is not among the files.`;
    throw new EmrError('index_shard_missing', detail, { file: index, shard });
  }
  for (const shard of present) {
    if (named.has(shard)) continue;
    const detail = `${shown(index)} does not name ${shown(shard)}: remove the file, or the index if it is out of date.`;
    throw new EmrError('index_shard_unlisted', detail, { file: index, shard });
  }
}

/** Each tensor lies in the shard that the index gives it; so no two shards have the same one. */
function requireListed(index: string, shards: ReadonlyMap<string, string>, tensors: readonly TensorInfo[]): void {
  for (const { name, file } of tensors) {
    const listed = shards.get(name);
    if (listed === file) continue;
    const where = listed === undefined ? 'does not name it' : `puts it in ${shown(listed)}`;
    const detail = `Tensor ${shown(name)} lies in ${shown(file)}, and ${shown(index)} ${where}.`;
    throw new EmrError('index_tensor_unlisted', detail, { file: index, shard: file, tensor: name });
  }
}

/** Each tensor that the index lists was found. */
function requireFound(index: string, shards: ReadonlyMap<string, string>, tensors: readonly TensorInfo[]): void {
  const found = new Set(tensors.map(({ name }) => name));
  for (const [name, shard] of shards) {
    if (found.has(name)) continue;
    const detail = `${shown(index)} puts tensor ${shown(name)} in ${shown(shard)}, which lacks it.`;
    throw new EmrError('index_tensor_missing', detail, { file: index, shard, tensor: name });
  }
}

async function readOne(file: CheckpointSource, limits: FormatLimits): Promise<TensorInfo[]> {
  const header = await about(file.name, () => withReader(file, (reader) => readHeader(reader, limits)));
  return header.tensors.map((tensor) => ({ ...tensor, file: file.name }));
}

async function withReader<Result>(file: CheckpointSource, use: (reader: ObjectReader) => Promise<Result>) {
  const reader = await file.open();
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

/** Adds the file's name to the errors about its contents. */
async function about<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof EmrError)) throw error;
    throw new EmrError(error.code, `${shown(file)}: ${error.detail}`, { file, ...error.facts }, { cause: error });
  }
}

function sortTensors(tensors: TensorInfo[]): TensorInfo[] {
  return tensors.sort((left, right) => compareUtf8(left.name, right.name));
}

function ambiguous(kind: string, files: readonly CheckpointSource[]): EmrError {
  const names = files.map(({ name }) => name);
  const examples = names.slice(0, 2).map(shown).join(', ');
  const detail = `There are ${names.length} ${kind} files, as ${examples}: keep one checkpoint in the folder.`;
  return new EmrError('checkpoint_ambiguous', detail, { files: names.slice(0, 100) });
}

const PICKLE_NAME = /\.(?:bin|pt|pth|ckpt|pkl)$/i;

function empty(files: readonly CheckpointSource[]): EmrError {
  const pickles = files.map(({ name }) => name).filter((name) => PICKLE_NAME.test(name));
  if (pickles.length === 0) {
    return new EmrError('checkpoint_empty', 'No file here ends in .safetensors.', { files: files.length });
  }
  const detail = `There is no safetensors file, and ${shown(pickles[0]!)} is a pickle. ${PICKLE_ADVICE}`;
  return new EmrError('checkpoint_empty', detail, { files: pickles.slice(0, 100) });
}
