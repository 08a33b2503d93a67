import { EmrError } from '../errors.js';
import type { ObjectReader } from '../store/types.js';
import { beyond, type FormatLimits } from './limits.js';
import { type HeaderEntry, parseEntries, shown } from './safetensors-entries.js';
import type { SafetensorsHeader } from './types.js';

/** The header's length stands before it in a little-endian u64. */
const LENGTH_BYTES = 8;

/** Enough for the header of most models, so that one read does. */
const FIRST_READ_BYTES = 64 * 1024;

/**
 * Parses and checks the header of a safetensors file against every rule of the format; each rule that is broken is its
 * own `safetensors_*` code, and a dtype outside of dtype.ts is `dtype_refused`.
 *
 * Stricter than the upstream reader, which allows what two readers may read differently: equal tensor names, unknown
 * keys and list-formed entries, an empty name, a null `__metadata__`, white space before the header.
 *
 * @param head the file's first bytes, at least to the end of its header
 * @param fileBytes size of the whole file
 * @see https://github.com/huggingface/safetensors#format
 */
export function parseHeader(head: Uint8Array, fileBytes: number, limits: FormatLimits): SafetensorsHeader {
  const dataStart = headerEnd(head, fileBytes, limits);
  if (head.length < dataStart) throw truncated(dataStart, head.length);
  const text = decode(head.subarray(LENGTH_BYTES, dataStart));
  if (!text.startsWith('{')) {
    throw new EmrError('safetensors_header_start', `The header begins with ${shown(text.slice(0, 1))}, not with "{".`);
  }
  const { entries, metadata } = parseEntries(text, limits);
  return { tensors: place(entries, dataStart, fileBytes), metadata, dataStart };
}

/** Reads and checks the header of the file behind `reader`: see {@link parseHeader}. No more than the header is kept. */
export async function readHeader(reader: ObjectReader, limits: FormatLimits): Promise<SafetensorsHeader> {
  const first = Buffer.alloc(Math.min(FIRST_READ_BYTES, reader.bytes));
  await reader.read(first, 0);
  const end = headerEnd(first, reader.bytes, limits);
  if (end <= first.length) return parseHeader(first, reader.bytes, limits);
  const head = Buffer.alloc(end);
  first.copy(head);
  await reader.read(head.subarray(first.length), first.length);
  return parseHeader(head, reader.bytes, limits);
}

/** Where the header ends, counted from the start of the file, once its length is known to be acceptable. */
function headerEnd(head: Uint8Array, fileBytes: number, limits: FormatLimits): number {
  if (fileBytes < LENGTH_BYTES || head.length < LENGTH_BYTES) {
    const detail = `The file has ${fileBytes} bytes; the length of a header alone takes ${LENGTH_BYTES}.`;
    throw new EmrError('safetensors_too_short', detail, { bytes: fileBytes });
  }
  const length = new DataView(head.buffer, head.byteOffset, head.length).getBigUint64(0, true);
  if (length > BigInt(limits.maxHeaderBytes)) {
    const what = `If this is a safetensors file, its header claims ${length} bytes`;
    const facts = { header_bytes: length.toString() };
    throw beyond('safetensors_header_too_large', what, 'maxHeaderBytes', limits, facts);
  }
  const end = LENGTH_BYTES + Number(length);
  if (end > fileBytes) throw truncated(end, fileBytes);
  return end;
}

function truncated(end: number, bytes: number): EmrError {
  const detail = `The header ends at byte ${end}, and there are ${bytes} bytes.`;
  return new EmrError('safetensors_header_truncated', detail, { header_end: end, bytes });
}

function decode(bytes: Uint8Array): string {
  try {
    // With ignoreBOM a byte order mark stays in the text, where it is not the '{' that a header begins with.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new EmrError('safetensors_header_not_utf8', 'The header has bytes that are not UTF-8.', {}, { cause });
  }
}

/** Puts the tensors in file order and checks that they tile the rest of the file: no hole, no overlap, nothing after. */
function place(entries: HeaderEntry[], dataStart: number, fileBytes: number): SafetensorsHeader['tensors'] {
  entries.sort((left, right) => left.begin - right.begin || left.end - right.end);
  let expected = 0;
  const tensors = entries.map(({ name, dtype, shape, begin, end, bytes }) => {
    if (begin !== expected || end < begin) {
      const detail = `Tensor ${shown(name)} lies at [${begin}, ${end}), and the tensors before it end at ${expected}.`;
      throw new EmrError('safetensors_offsets', detail, { tensor: name, begin, end, expected });
    }
    if (end - begin !== bytes) {
      const detail = `Tensor ${shown(name)} spans ${end - begin} bytes; ${dtype}[${shape}] takes ${bytes}.`;
      throw new EmrError('safetensors_span', detail, { tensor: name, span: end - begin, expected: bytes });
    }
    expected = end;
    return { name, dtype, shape, offset: dataStart + begin, bytes };
  });
  if (dataStart + expected !== fileBytes) {
    const detail = `The tensors end at byte ${dataStart + expected}, and the file has ${fileBytes} bytes.`;
    throw new EmrError('safetensors_length', detail, { expected: dataStart + expected, bytes: fileBytes });
  }
  return tensors;
}
