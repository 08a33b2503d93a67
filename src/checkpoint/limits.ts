import { EmrError, type ErrorCode } from '../errors.js';

/**
 * What a checkpoint may claim of itself before it is believed. Each limit has the variable that an operator sets it by,
 * and the most that it can be set to, beyond which this program would not stand what it is sent.
 */
export const FORMAT_LIMITS = {
  /**
   * Some 180,000 tensors of common names; a header is held in memory whole, as bytes and as text. Upstream refuses what is
   * larger than the ceiling (MAX_HEADER_SIZE), so no file that other tools can read is beyond it.
   */
  maxHeaderBytes: { variable: 'EMR_MAX_HEADER_BYTES', usual: 25_000_000, ceiling: 100_000_000 },
  /** Large mixture-of-experts models have some 50,000 to 100,000 tensors; each costs a few hundred bytes of memory. */
  maxTensors: { variable: 'EMR_MAX_TENSORS', usual: 200_000, ceiling: 1_000_000 },
  /** Names in the wild are below 200 bytes; they are repeated in plans, reports and logs. */
  maxNameBytes: { variable: 'EMR_MAX_TENSOR_NAME_BYTES', usual: 1024, ceiling: 65_536 },
  /** PyTorch and numpy have no tensors of more dimensions. */
  maxDimensions: { variable: 'EMR_MAX_DIMENSIONS', usual: 64, ceiling: 1024 },
  /** The largest models that are shared have some 200; each shard is opened when a checkpoint is added and when it is merged. */
  maxShards: { variable: 'EMR_MAX_SHARDS', usual: 1_000, ceiling: 10_000 },
  /** A folder of a model has a few dozen files beside its shards; each is a line in every record and listing. */
  maxFiles: { variable: 'EMR_MAX_FILES', usual: 2_000, ceiling: 20_000 },
} as const;

export type FormatLimit = keyof typeof FORMAT_LIMITS;
export type FormatLimits = Readonly<Record<FormatLimit, number>>;

const each = (value: 'usual' | 'ceiling') =>
  Object.fromEntries(Object.entries(FORMAT_LIMITS).map(([name, limit]) => [name, limit[value]])) as Record<
    FormatLimit,
    number
  >;

export const DEFAULT_LIMITS: FormatLimits = each('usual');

/** For files that this program wrote itself, whatever the limits were then and are now. */
export const OWN_FILES: FormatLimits = each('ceiling');

/** The refusal of what is beyond a limit; it names the limit and the setting. `what` is a sentence without its end. */
export function beyond(
  code: ErrorCode,
  what: string,
  name: FormatLimit,
  limits: FormatLimits,
  facts: object = {},
): EmrError {
  const limit = limits[name];
  const setting = FORMAT_LIMITS[name].variable;
  return new EmrError(code, `${what}; the limit is ${limit} (${setting}).`, { ...facts, limit, setting });
}

/** The longest base name of Linux, macOS and Windows file systems. */
export const MAX_FILE_NAME_BYTES = 255;

/** Deepest nesting that is walked over; serde_json stops at 128 as well. */
export const MAX_JSON_DEPTH = 128;
