import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';

/** What assembly/index.ts exports; addresses and counts are unsigned 32-bit integers. */
export interface Kernels {
  emr(...args: number[]): void;
  linear(...args: number[]): void;
  model(...args: number[]): void;
  reconstruct(...args: number[]): void;
  narrowBf16(source: number, target: number, n: number): void;
  narrowF16(source: number, target: number, n: number): void;
  narrowF64(source: number, target: number, n: number): void;
  widenBf16(source: number, target: number, n: number): void;
  widenF16(source: number, target: number, n: number): void;
  widenF32(source: number, target: number, n: number): void;
}

/** The numbers of the dtypes in assembly/shape.ts. */
export const DTYPE_CODES: Record<FloatDtype, number> = { F32: 0, BF16: 1, F16: 2, F64: 3 };

/** Bytes of one f32 array of a block, from assembly/shape.ts. */
export const BLOCK_BYTES = 4 * (224 + 16);

/** The kernels work on whole steps of 16 elements: inputs are zero up to there, and every array has room for it. */
export const STEP = 16;
export const padded = (n: number) => Math.ceil(n / STEP) * STEP;

const PAGE = 65_536;
const LINE = 64;
/**
 * Room behind each array: for the padding of the widest dtype (128 bytes) or what the election reads and writes beyond
 * the end (32 bytes behind the padding of f32), and an odd number of cache lines, so that arrays of a size that is a power of two do not all compete for the same lines of a cache.
 */
const GAP = 5 * LINE;

/** Lays out arrays one after the other and, when all are known, makes a shared memory just large enough for them. */
export function createArena() {
  let end = LINE; // address 0 stays unused
  return {
    /** The address of an array of this many bytes. */
    take(bytes: number): number {
      const address = end;
      end += Math.ceil(bytes / LINE) * LINE + GAP;
      return address;
    },
    /** Shared, so that files are read straight into it. The kernels never grow it: views stay valid. */
    open(module: WebAssembly.Module) {
      const pages = Math.ceil(end / PAGE);
      const memory = new WebAssembly.Memory({ initial: pages, maximum: MAXIMUM_PAGES, shared: true });
      const { exports } = new WebAssembly.Instance(module, { env: { memory } });
      const { buffer } = memory;
      return {
        kernels: exports as unknown as Kernels,
        bytes: (at: number, length: number) => new Uint8Array(buffer, at, length),
        floats: (at: number, length: number) => new Float32Array(buffer, at, length),
        doubles: (at: number, length: number) => new Float64Array(buffer, at, length),
      };
    },
  };
}
export type Opened = ReturnType<ReturnType<typeof createArena>['open']>;

/** The module's declared maximum (assembly/asconfig.json), which an imported memory may not exceed. */
const MAXIMUM_PAGES = 65_536;

/** The byte at which `n` elements of `dtype` begin in an array of `elements` f32: see `upcast`. */
export function inputAddress(slot: number, elements: number, dtype: FloatDtype): number {
  return DTYPE_BYTES[dtype] === 2 ? slot + 2 * elements : slot;
}

/**
 * Turns `n` elements of `dtype` into f32 at `slot`, in place. Two-byte elements lie in the upper half of the f32 array,
 * where the kernel reads them before it writes there; F64 lie at its beginning. Then pads with zeros to a STEP.
 */
export function upcast(memory: Opened, slot: number, elements: number, n: number, dtype: FloatDtype): void {
  const from = inputAddress(slot, elements, dtype);
  if (dtype === 'BF16') memory.kernels.widenBf16(from, slot, n);
  if (dtype === 'F16') memory.kernels.widenF16(from, slot, n);
  if (dtype === 'F64') memory.kernels.narrowF64(from, slot, n);
  if (n % STEP !== 0) memory.floats(slot, padded(n)).fill(0, n);
}
