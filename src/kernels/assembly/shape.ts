// Shapes that the kernels share.

/**
 * Elements of a block: what one round of passes keeps in the first-level cache. It also bounds the rounding of the f32
 * partial sums. A lane of a block's sum is a tree of 4 added up 14 times, the first time to zero and so exactly: a term
 * has seen 1 multiplication and at most 2 + 13 rounded additions, so the sum of non-negative terms is off by less than
 * 16 × 2^-24 < 1e-6, before it goes on in f64.
 */
export const BLOCK: usize = 224;
/** Bytes of one f32 array of a block, with room for what elect.ts writes beyond the block's end. */
export const BLOCK_BYTES: usize = (BLOCK + 16) << 2;
/** Elements of a row of sums (TILE_ELEMENTS in types.ts). */
export const TILE: usize = 65536;
/** Elements of one step of the inner loops: four vectors, 16 bits of mask. Inputs are padded with zeros to it. */
export const STEP: usize = 16;

/** Bytes of a task's accumulators: 6 × f64x2, then #M + #C as usize. */
export const TASK_ACCUMULATORS: usize = 112;

/** The numbers of the dtypes (DTYPE_CODES in simd-memory.ts). */
export const F32: i32 = 0;
export const BF16: i32 = 1;
export const F16: i32 = 2;
export const F64: i32 = 3;
