import { EmrError } from '../errors.js';
import type { ObjectReader } from '../store/types.js';
import { jsonScanner } from './json-scanner.js';
import { beyond, type FormatLimits, MAX_FILE_NAME_BYTES } from './limits.js';
import { checkName, shown } from './safetensors-entries.js';

/** Reads the index of a sharded checkpoint: see {@link parseIndex}. */
export async function readIndex(reader: ObjectReader, limits: FormatLimits): Promise<Map<string, string>> {
  // It is a header's names without their shapes, so a header's limit fits it too.
  if (reader.bytes > limits.maxHeaderBytes) {
    const what = `The index has ${reader.bytes} bytes`;
    throw beyond('index_invalid', what, 'maxHeaderBytes', limits, { bytes: reader.bytes });
  }
  const bytes = Buffer.alloc(reader.bytes);
  await reader.read(bytes, 0);
  return parseIndex(bytes, limits);
}

/**
 * The `weight_map` of an index: tensor name to the shard that has it. Other keys, `metadata` among them, may hold
 * anything: `total_size` is often wrong in the wild, and nothing here needs it.
 *
 * Errors: `index_invalid`, `index_shard_name`, `safetensors_name`, `safetensors_too_many_tensors`, `too_large` (shards).
 */
export function parseIndex(bytes: Uint8Array, limits: FormatLimits): Map<string, string> {
  const scanner = jsonScanner(decode(bytes), (_, detail) => invalid(detail));
  const shards = new Map<string, string>();
  const names = new Set<string>();
  let found = false;
  const isObject = scanner.object((key) => {
    if (key !== 'weight_map') return scanner.skip();
    found = scanner.object((tensor) => {
      if (shards.size >= limits.maxTensors) {
        throw beyond('safetensors_too_many_tensors', 'The index has more tensors', 'maxTensors', limits);
      }
      checkName(tensor, limits);
      const shard = scanner.string();
      if (shard === undefined) throw invalid(`the shard of ${shown(tensor)} in weight_map is not a string`);
      checkShardName(shard);
      if (names.add(shard).size > limits.maxShards) {
        throw beyond('too_large', 'The index names more shards', 'maxShards', limits);
      }
      shards.set(tensor, shard);
    });
    if (!found) throw invalid('weight_map is not an object');
  });
  if (!isObject) throw invalid('it is not a JSON object');
  scanner.end();
  if (!found) throw invalid('it has no weight_map');
  if (shards.size === 0) throw invalid('weight_map names no tensor');
  return shards;
}

/** A shard's name is looked up among the files of its folder and must not lead out of it on any system. */
function checkShardName(name: string): void {
  const plain =
    name.endsWith('.safetensors') &&
    Buffer.byteLength(name) <= MAX_FILE_NAME_BYTES &&
    !name.startsWith('.') &&
    !/[/\\:\p{Control}\p{Surrogate}]/u.test(name);
  if (plain) return;
  const detail = `The index names the shard ${shown(name)}; it must be a plain file name that ends in .safetensors.`;
  throw new EmrError('index_shard_name', detail, { shard: name.slice(0, MAX_FILE_NAME_BYTES) });
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new EmrError('index_invalid', 'The index has bytes that are not UTF-8.', {}, { cause });
  }
}

function invalid(what: string): EmrError {
  return new EmrError('index_invalid', `The index is refused: ${what}.`);
}
