// Shapes that the kernels share. A block is what one pass keeps in the first-level cache: N task vectors, u and what
// is derived from it. It also bounds the rounding of the f32 partial sums: 128 elements are 32 vectors, added as
// 8 sums of 4, so a partial sum has seen at most 2 + 8 additions when it goes on in f64.
export const BLOCK: usize = 256;
/** Bytes of one f32 array of a block. */
export const BLOCK_BYTES: usize = BLOCK << 2;
/** Elements of a row of sums (TILE_ELEMENTS in types.ts). */
export const TILE: usize = 65536;
/** Elements of one step of the inner loops: four vectors, 16 bits of mask. Inputs are padded with zeros to it. */
export const STEP: usize = 16;

/** Bytes of a task's accumulators: 6 × f64x2, then #M and #C as u64. */
export const TASK_ACCUMULATORS: usize = 112;
/** Sums per task and per tile in a row (TASK_SUMS and UNIFIED_SUMS in types.ts), in bytes. */
export const TASK_SUM_BYTES: usize = 64;
export const UNIFIED_SUM_BYTES: usize = 16;

/** How a result is rounded before it is used: the order of ROUNDINGS in simd-layout.ts. */
export const ROUND_BF16: i32 = 1;
export const ROUND_F16: i32 = 2;
