import type { Dtype } from '../dtype.js';
import { EmrError } from '../errors.js';
import { OWN_FILES } from './limits.js';
import { compareUtf8 } from './order.js';
import { shown, tensorBytes } from './safetensors-entries.js';
import type { SafetensorsLayout, TensorSpec } from './types.js';

/** Upstream's rank of dtypes, highest first: the order in which tensors are written, so that all are aligned. */
const WRITE_ORDER: readonly Dtype[] = [
  'U64',
  'I64',
  'F64',
  'F32',
  'U32',
  'I32',
  'BF16',
  'F16',
  'U16',
  'I16',
  'I8',
  'U8',
  'BOOL',
];

const RANK = new Map(WRITE_ORDER.map((dtype, rank) => [dtype, rank]));

/** The header is padded with spaces, so that the data, and with it every tensor, is aligned. */
const ALIGNMENT = 8;

/**
 * The layout of a safetensors file with these tensors, byte for byte what Python's `safetensors` writes with
 * `metadata={"format": "pt"}` (without which `transformers` does not load it). The order of `tensors` does not matter.
 *
 * Errors: `safetensors_name` (empty, or `__metadata__`), `safetensors_duplicate_key`, `safetensors_shape_overflow`,
 * `safetensors_header_too_large` (upstream's limit).
 */
export function layoutSafetensors(tensors: readonly TensorSpec[]): SafetensorsLayout {
  const sorted = [...tensors].sort(
    (left, right) => RANK.get(left.dtype)! - RANK.get(right.dtype)! || compareUtf8(left.name, right.name),
  );
  const parts = ['{"__metadata__":{"format":"pt"}'];
  const names = new Set<string>();
  let end = 0;
  const placed = sorted.map(({ name, dtype, shape }) => {
    checkName(name, names);
    const bytes = tensorBytes(dtype, shape);
    const begin = end;
    end += bytes ?? Number.NaN;
    if (bytes === undefined || !Number.isSafeInteger(end)) {
      throw new EmrError('safetensors_shape_overflow', `Tensor ${shown(name)} ends beyond 2^53 - 1 bytes.`, { name });
    }
    // JSON.stringify escapes exactly what serde_json does: quotes, backslashes and control characters below U+0020.
    parts.push(`,${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`);
    return { name, dtype, shape, offset: begin, bytes };
  });
  parts.push('}');
  const header = frame(parts.join(''));
  return {
    header,
    tensors: placed.map((tensor) => ({ ...tensor, offset: header.length + tensor.offset })),
    bytes: header.length + end,
  };
}

/** The header's length as a little-endian u64, and the header, padded. */
function frame(json: string): Buffer {
  const jsonBytes = Buffer.byteLength(json);
  const padded = Math.ceil(jsonBytes / ALIGNMENT) * ALIGNMENT;
  if (padded > OWN_FILES.maxHeaderBytes) {
    const detail = `A file of so many tensors has a header of ${padded} bytes; no reader takes more than ${OWN_FILES.maxHeaderBytes}.`;
    throw new EmrError('safetensors_header_too_large', detail, { header_bytes: String(padded) });
  }
  const header = Buffer.alloc(8 + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded), 0);
  header.write(json, 8);
  return header;
}

function checkName(name: string, seen: Set<string>): void {
  if (name === '' || name === '__metadata__' || /\p{Surrogate}/u.test(name)) {
    throw new EmrError('safetensors_name', `A tensor cannot be written under the name ${shown(name)}.`, { name });
  }
  if (seen.has(name)) throw new EmrError('safetensors_duplicate_key', `Two tensors have the name ${shown(name)}.`);
  seen.add(name);
}
