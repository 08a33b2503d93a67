import { DTYPE_BYTES, type Dtype, isDtype } from '../dtype.js';
import { EmrError, type ErrorCode } from '../errors.js';
import { type JsonScanner, jsonScanner } from './json-scanner.js';
import { beyond, type FormatLimits } from './limits.js';

/** One tensor as the header states it; its shape and dtype agree, its place is not checked yet. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Relative to the end of the header: `[begin, end)`. */
  readonly begin: number;
  readonly end: number;
  /** What shape and dtype ask for. */
  readonly bytes: number;
}

export interface HeaderEntries {
  readonly entries: HeaderEntry[];
  readonly metadata: Record<string, string>;
}

/** How names of a hostile file appear in texts: escaped, and short. */
export function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** Parses the JSON text of a header. Names like `__proto__` are names like any other. */
export function parseEntries(text: string, limits: FormatLimits): HeaderEntries {
  const scanner = jsonScanner(text, (problem, detail) => {
    const code = problem === 'syntax' ? 'safetensors_header_not_json' : 'safetensors_duplicate_key';
    return new EmrError(code, `The header is refused: ${detail}.`);
  });
  const entries: HeaderEntry[] = [];
  let metadata: Record<string, string> = Object.create(null);
  scanner.object((name) => {
    if (name === '__metadata__') {
      metadata = parseMetadata(scanner);
      return;
    }
    if (entries.length >= limits.maxTensors) {
      throw beyond('safetensors_too_many_tensors', 'The header has more tensors', 'maxTensors', limits);
    }
    checkName(name, limits);
    entries.push(parseEntry(scanner, name, limits));
  });
  scanner.end();
  return { entries, metadata };
}

function parseMetadata(scanner: JsonScanner): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  const isMap = scanner.object((key) => {
    const value = scanner.string();
    if (value === undefined) {
      throw new EmrError('safetensors_metadata', `The value of ${shown(key)} in __metadata__ is not a string.`);
    }
    metadata[key] = value;
  });
  if (!isMap) throw new EmrError('safetensors_metadata', '__metadata__ is not an object.');
  return metadata;
}

/** Also of an index, whose names come back in refusals as those of a header do. */
export function checkName(name: string, limits: FormatLimits): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) throw new EmrError('safetensors_name', 'A tensor has the empty name.');
  if (bytes <= limits.maxNameBytes) return;
  const what = `The tensor name ${shown(name)} has ${bytes} bytes`;
  throw beyond('safetensors_name', what, 'maxNameBytes', limits, { bytes });
}

function parseEntry(scanner: JsonScanner, name: string, limits: FormatLimits): HeaderEntry {
  const refusal = (code: ErrorCode, what: string) =>
    new EmrError(code, `Tensor ${shown(name)}: ${what}.`, { tensor: name });
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  const isObject = scanner.object((key) => {
    if (key === 'dtype') {
      dtype = scanner.string();
      if (dtype === undefined) throw refusal('safetensors_entry', 'dtype is not a string');
    } else if (key === 'shape') {
      shape = parseCounts(scanner, limits.maxDimensions, () =>
        beyond('safetensors_shape', `Tensor ${shown(name)} has more dimensions`, 'maxDimensions', limits, {
          tensor: name,
        }),
      );
      if (shape === undefined) throw refusal('safetensors_shape', 'shape is not a list of integers from 0 to 2^53 - 1');
    } else if (key === 'data_offsets') {
      const noPair = () => refusal('safetensors_offsets', 'data_offsets is not a pair of integers from 0 to 2^53 - 1');
      offsets = parseCounts(scanner, 2, noPair);
      if (offsets?.length !== 2) throw noPair();
    } else {
      throw refusal('safetensors_entry', `the key ${shown(key)} is not of the format`);
    }
  });
  if (!isObject || dtype === undefined || shape === undefined || offsets === undefined) {
    throw refusal('safetensors_entry', 'it must have dtype, shape and data_offsets');
  }
  if (!isDtype(dtype)) {
    const known = Object.keys(DTYPE_BYTES).join(', ');
    const detail = `Tensor ${shown(name)} has dtype ${shown(dtype)}; those accepted are ${known}.`;
    throw new EmrError('dtype_refused', detail, { tensor: name, dtype: dtype.slice(0, 200) });
  }
  const bytes = tensorBytes(dtype, shape);
  if (bytes === undefined) throw refusal('safetensors_shape_overflow', 'its size in bytes is beyond 2^53 - 1');
  return { name, dtype, shape, begin: offsets[0]!, end: offsets[1]!, bytes };
}

/** A list of at most `max` counts, or `tooMany`; undefined if it is anything else (then the scanner must not be used on). */
function parseCounts(scanner: JsonScanner, max: number, tooMany: () => EmrError): number[] | undefined {
  const counts: number[] = [];
  let valid = true;
  const isList = scanner.array(() => {
    const value = scanner.count();
    // Anything but a number is walked over, so that a broken text is called broken rather than mistyped.
    if (value === undefined) scanner.skip();
    if (value === undefined || Number.isNaN(value)) valid = false;
    else if (counts.push(value) > max) throw tooMany();
  });
  return isList && valid ? counts : undefined;
}

/** Size of a tensor's data in bytes; undefined if a product on the way is beyond 2^53 − 1. */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | undefined {
  let bytes: number = DTYPE_BYTES[dtype];
  for (const size of shape) {
    // The exact product is beyond 2^53 - 1 if and only if the rounded one is.
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
}
