import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';

/**
 * Casts between f32 and the float dtypes of checkpoints, element by element: the readable reference. To a narrower
 * dtype they round to nearest, ties to even; subnormals are exact both ways; a NaN stays a NaN.
 */

/** The elements of `bytes` as integers of their own width, so that copies keep every bit. */
export function units(bytes: Uint8Array, dtype: FloatDtype): Uint16Array | Uint32Array | BigUint64Array {
  const { buffer, byteOffset } = bytes;
  const length = bytes.byteLength / DTYPE_BYTES[dtype];
  if (dtype === 'F64') return new BigUint64Array(buffer, byteOffset, length);
  if (dtype === 'F32') return new Uint32Array(buffer, byteOffset, length);
  return new Uint16Array(buffer, byteOffset, length);
}

/** f32 bits → F16 bits. */
export function f16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  if (magnitude >= 0x477f_f000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude >= 0x3880_0000) {
    // 2^-14 and above: a normal F16. 0xfff + the last kept bit rounds the 13 dropped bits to even.
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - (112 << 23)) >>> 13);
  }
  if (magnitude <= 0x3300_0000) return sign; // 2^-25 is a tie with zero, which is even
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7f_ffff) | 0x80_0000;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}

/** f32 bits → BF16 bits. */
export function bf16Bits(bits: number): number {
  if ((bits & 0x7fff_ffff) > 0x7f80_0000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** F16 bits → f32 bits. */
export function f32BitsOfF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 31) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // brings the leading bit to the place of the implicit one
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** Elements of `bytes` as f32: exact for F32, BF16 and F16, rounded for F64 (beyond f32: ±Infinity). */
export function decode(bytes: Uint8Array, dtype: FloatDtype, target: Float32Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  const n = byteLength / DTYPE_BYTES[dtype];
  if (dtype === 'F64') {
    target.set(new Float64Array(buffer, byteOffset, n));
    return;
  }
  const source = units(bytes, dtype) as Uint16Array | Uint32Array;
  const bits = new Uint32Array(target.buffer, target.byteOffset, n);
  if (dtype === 'F32') bits.set(source);
  else if (dtype === 'BF16') for (let i = 0; i < n; i++) bits[i] = source[i]! << 16;
  else for (let i = 0; i < n; i++) bits[i] = f32BitsOfF16(source[i]!);
}

/** The first elements of `values`, as many as `bytes` holds, cast to `dtype`. */
export function encode(values: Float32Array, dtype: FloatDtype, bytes: Uint8Array): void {
  const { buffer, byteOffset, byteLength } = bytes;
  const n = byteLength / DTYPE_BYTES[dtype];
  if (dtype === 'F64') {
    new Float64Array(buffer, byteOffset, n).set(values.subarray(0, n));
    return;
  }
  const bits = new Uint32Array(values.buffer, values.byteOffset, n);
  const target = units(bytes, dtype) as Uint16Array | Uint32Array;
  if (dtype === 'F32') target.set(bits);
  else if (dtype === 'BF16') for (let i = 0; i < n; i++) target[i] = bf16Bits(bits[i]!);
  else for (let i = 0; i < n; i++) target[i] = f16Bits(bits[i]!);
}
