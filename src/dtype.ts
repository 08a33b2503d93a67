/** The element types of safetensors that this project reads and writes, by their names in the format. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  BF16: 2,
  F16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type Dtype = keyof typeof DTYPE_BYTES;

/** The dtypes that are merged; all others are carried along (SEMANTICS.md, "Which tensors are merged"). */
export const FLOAT_DTYPES = ['F64', 'F32', 'BF16', 'F16'] as const;
export type FloatDtype = (typeof FLOAT_DTYPES)[number];

/** The most by which rounding to the nearest changes a value, relative to it. */
export const UNIT_ROUNDOFF: Readonly<Record<FloatDtype, number>> = {
  F64: 2 ** -53,
  F32: 2 ** -24,
  BF16: 2 ** -8,
  F16: 2 ** -11,
};

/** The dtypes in which a unified vector or a model can be written on request. */
export const OUTPUT_DTYPES = ['F32', 'BF16', 'F16'] as const;
export type OutputDtype = (typeof OUTPUT_DTYPES)[number];

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(DTYPE_BYTES, name);
}

export function isFloat(dtype: Dtype): dtype is FloatDtype {
  return (FLOAT_DTYPES as readonly string[]).includes(dtype);
}

/** Number of elements of a tensor; a 0-dimensional tensor has one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
