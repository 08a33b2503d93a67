import type { CheckpointRecord } from '../catalog/records.js';
import type { RecordedFile, Sources } from '../catalog/sources.js';
import type { ArtifactWriter } from './artifact-writer.js';

const CHUNK_BYTES = 2 ** 20;

/** Appends byte ranges of one recorded file to an artifact, in the order given. */
export async function copyRanges(
  sources: Sources,
  file: RecordedFile,
  ranges: readonly { readonly offset: number; readonly bytes: number }[],
  target: ArtifactWriter,
  signal: AbortSignal,
): Promise<void> {
  const reader = await sources.open(file);
  try {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, ...ranges.map((range) => range.bytes))));
    for (const { offset, bytes } of ranges) {
      for (let done = 0; done < bytes; done += chunk.byteLength) {
        signal.throwIfAborted();
        const part = chunk.subarray(0, Math.min(chunk.byteLength, bytes - done));
        await reader.read(part, offset + done);
        await target.write(part);
      }
    }
  } finally {
    await reader.close();
  }
}

export function fileOf(record: Pick<CheckpointRecord, 'files'>, name: string) {
  return record.files.find((file) => file.name === name)!;
}
