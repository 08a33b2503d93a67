/** The limits on what one safetensors header may claim. */
export interface SafetensorsLimits {
  readonly maxHeaderBytes: number;
  readonly maxTensors: number;
  readonly maxNameBytes: number;
}

/** Upstream refuses larger headers (MAX_HEADER_SIZE), so no file that other tools can read is beyond it. */
export const HARD_MAX_HEADER_BYTES = 100_000_000;

/** Some 180,000 tensors of common names; the header is held in memory whole, as bytes and as text. */
const DEFAULT_MAX_HEADER_BYTES = 25_000_000;

/** Large mixture-of-experts models have some 50,000 to 100,000 tensors; each costs a few hundred bytes of memory. */
const DEFAULT_MAX_TENSORS = 200_000;

/** Names in the wild are below 200 bytes; they are repeated in plans, reports and logs. */
const DEFAULT_MAX_NAME_BYTES = 1024;

/** PyTorch and numpy have no tensors of more dimensions. */
export const MAX_DIMENSIONS = 64;

/** An index is a header's names without their shapes, so a header's limit fits it too. */
export const MAX_INDEX_BYTES = DEFAULT_MAX_HEADER_BYTES;

/** The longest base name of Linux, macOS and Windows file systems. */
export const MAX_FILE_NAME_BYTES = 255;

/** Deepest nesting that is walked over; serde_json stops at 128 as well. */
export const MAX_JSON_DEPTH = 128;

export const DEFAULT_LIMITS: SafetensorsLimits = {
  maxHeaderBytes: DEFAULT_MAX_HEADER_BYTES,
  maxTensors: DEFAULT_MAX_TENSORS,
  maxNameBytes: DEFAULT_MAX_NAME_BYTES,
};
