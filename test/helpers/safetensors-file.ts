import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import type { CheckpointSource } from '../../src/checkpoint/sharded.js';
import type { TensorSpec } from '../../src/checkpoint/types.js';
import type { ObjectReader } from '../../src/store/types.js';

/** A tensor with its bytes, which are zeros if left out. */
export interface TestTensor extends TensorSpec {
  readonly data?: Uint8Array;
}

/** A whole, valid safetensors file, as `src/checkpoint` lays it out. */
export function safetensorsFile(tensors: readonly TestTensor[]): Buffer {
  const layout = layoutSafetensors(tensors);
  const file = Buffer.alloc(layout.bytes);
  layout.header.copy(file);
  const data = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  for (const { name, offset, bytes } of layout.tensors) {
    const source = data.get(name);
    if (!source) continue;
    if (source.byteLength !== bytes) throw new Error(`${name} takes ${bytes} bytes, not ${source.byteLength}`);
    file.set(source, offset);
  }
  return file;
}

/** An F32 tensor for {@link safetensorsFile}; its shape is `[values.length]` if left out. */
export function f32(name: string, values: readonly number[], shape: readonly number[] = [values.length]): TestTensor {
  return { name, dtype: 'F32', shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

/** A file with any header, valid or not, and `data` after it; `length` is what the file claims the header has. */
export function rawSafetensors(header: string | Uint8Array, data: number | Uint8Array = 0, length?: bigint): Buffer {
  const text = Buffer.from(header as Uint8Array);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.byteLength));
  return Buffer.concat([start, text, typeof data === 'number' ? Buffer.alloc(data) : data]);
}

/** A reader over bytes in memory; `reads` counts its calls, and `open` those not closed yet. */
export function memoryReader(bytes: Uint8Array): ObjectReader & { reads: number; open: number } {
  return {
    bytes: bytes.byteLength,
    version: '1',
    reads: 0,
    open: 1,
    async read(target, offset) {
      this.reads++;
      if (offset + target.byteLength > bytes.byteLength) throw new Error('read beyond the end');
      target.set(bytes.subarray(offset, offset + target.byteLength));
    },
    async close() {
      this.open--;
    },
  };
}

/** A checkpoint's folder in memory. */
export function memoryFolder(files: Readonly<Record<string, string | Uint8Array>>): CheckpointSource[] {
  return Object.entries(files).map(([name, content]) => ({
    name,
    open: async () => memoryReader(Buffer.from(content as Uint8Array)),
  }));
}
