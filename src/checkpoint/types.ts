import type { Dtype } from '../dtype.js';

/** One tensor of a checkpoint: where its bytes are. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** The safetensors file it lies in, a plain base name. */
  readonly file: string;
  /** From the start of the file, header included. */
  readonly offset: number;
  readonly bytes: number;
}

/** The header of one safetensors file, checked against every rule of the format. */
export interface SafetensorsHeader {
  /** In the order of their bytes in the file. */
  readonly tensors: readonly Omit<TensorInfo, 'file'>[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Bytes before the first tensor: 8 + length of the header. */
  readonly dataStart: number;
}

/** A tensor to be written: name, dtype and shape decide every byte of the layout. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** The exact layout of a safetensors file before any of its weights is known. */
export interface SafetensorsLayout {
  /** The 8-byte length and the header, padded; what the file starts with. */
  readonly header: Buffer;
  /** In file order (upstream's: dtype rank descending, then name by UTF-8 bytes), with absolute offsets. */
  readonly tensors: readonly Omit<TensorInfo, 'file'>[];
  /** Size of the whole file. */
  readonly bytes: number;
}
