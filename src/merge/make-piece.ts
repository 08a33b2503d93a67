import { DTYPE_BYTES, type OutputDtype } from '../dtype.js';
import type { ReconstructWorkspace } from '../kernels/types.js';
import { firstElement, type Piece } from './pieces.js';
import type { SegmentReaders } from './segment-readers.js';
import type { SegmentFile } from './virtual-file.js';

/**
 * Reads and computes one piece, Ŵ = W_pre + λ·(M⊙u) (SEMANTICS, "EMR" 5). The bytes lie in the workspace. Local files
 * are read without leaving the thread.
 */
export async function makePiece(
  { segment, from, to }: Piece,
  readers: SegmentReaders,
  workspace: ReconstructWorkspace,
): Promise<Uint8Array> {
  const read = async (place: { file: SegmentFile; offset: number }, at: number, target: Uint8Array) => {
    const reader = await readers.open(place.file);
    if (reader.readSync) reader.readSync(target, place.offset + at);
    else await reader.read(target, place.offset + at);
  };

  if (segment.kind === 'bytes') {
    const target = bytesOf(workspace, to - from);
    target.set(segment.content.subarray(from, to));
    return target;
  }
  if (segment.kind === 'copy') {
    const target = bytesOf(workspace, to - from);
    await read(segment, from, target);
    return target;
  }

  const size = DTYPE_BYTES[segment.output];
  const first = firstElement(from, size);
  const n = Math.ceil(to / size) - first;
  const base = segment.kind === 'cast' ? segment.from : segment.base;
  const reads = [read(base, first * DTYPE_BYTES[base.dtype], workspace.base(n, base.dtype))];
  let unified: OutputDtype = 'F32';
  let rescaler = 0;
  if (segment.kind === 'modulate') {
    unified = segment.unified.dtype as OutputDtype; // a unified vector is never F64
    rescaler = segment.rescaler;
    reads.push(read(segment.unified, first * DTYPE_BYTES[unified], workspace.unified(n, unified)));
    if (segment.mask) reads.push(read(segment.mask, first / 8, workspace.mask(n)));
    else workspace.mask(n).fill(0xff);
  } else {
    // A cast is a reconstruction in which the mask is 0 everywhere.
    workspace.mask(n).fill(0);
  }
  await Promise.all(reads);
  const bytes = workspace.run({ n, base: base.dtype, unified, output: segment.output, rescaler });
  return bytes.subarray(from - first * size, to - first * size);
}

/** Room for bytes that are not computed: the base's slot is as good a buffer as any, and lives as long as the chunk. */
function bytesOf(workspace: ReconstructWorkspace, bytes: number): Uint8Array {
  return workspace.base(Math.ceil(bytes / DTYPE_BYTES.F32), 'F32').subarray(0, bytes);
}
