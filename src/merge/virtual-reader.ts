import { DTYPE_BYTES, type OutputDtype } from '../dtype.js';
import type { ReconstructWorkspace } from '../kernels/types.js';
import type { ObjectReader } from '../store/types.js';
import type { Segment, SegmentFile, VirtualFile } from './virtual-file.js';

/** Reads bytes start … end − 1 of a virtual file, front to back. */
export interface VirtualReader {
  /** Fills `target`, or less of it at the end; returns how many bytes. */
  read(target: Uint8Array): Promise<number>;
}

export interface VirtualReaderOptions {
  readonly workspace: ReconstructWorkspace;
  /** Elements computed at a time, at most what the workspace holds; a multiple of 8, so that masks are whole bytes. */
  readonly elements: number;
  open(file: SegmentFile): Promise<ObjectReader>;
}

/** Ŵ = W_pre + λ·(M⊙u), made piece by piece as it is read (SEMANTICS, "EMR" 5). Keeps no more than the workspace. */
export function createVirtualReader(
  file: Pick<VirtualFile, 'segments'>,
  start: number,
  end: number,
  { workspace, elements, open }: VirtualReaderOptions,
): VirtualReader {
  let at = start;
  let index = 0;
  /** Where segment `index` begins. */
  let begin = 0;

  const readAt = async (place: { file: SegmentFile; offset: number }, from: number, target: Uint8Array) => {
    const reader = await open(place.file);
    if (reader.readSync) reader.readSync(target, place.offset + from);
    else await reader.read(target, place.offset + from);
  };

  /** Computes n elements from `first`; the bytes are the workspace's. */
  const compute = async (segment: Extract<Segment, { kind: 'cast' | 'modulate' }>, first: number, n: number) => {
    const base = segment.kind === 'cast' ? segment.from : segment.base;
    const reads = [readAt(base, first * DTYPE_BYTES[base.dtype], workspace.base(n, base.dtype))];
    let unified: OutputDtype = 'F32';
    let rescaler = 0;
    if (segment.kind === 'modulate') {
      unified = segment.unified.dtype as OutputDtype; // a unified vector is never F64
      rescaler = segment.rescaler;
      reads.push(
        readAt(segment.unified, first * DTYPE_BYTES[unified], workspace.unified(n, unified)),
        readAt(segment.mask, first / 8, workspace.mask(n)),
      );
    } else {
      // A cast is a reconstruction in which the mask is 0 everywhere.
      workspace.mask(n).fill(0);
    }
    await Promise.all(reads);
    return workspace.run({ n, base: base.dtype, unified, output: segment.output, rescaler });
  };

  /** Bytes of a segment from `from`, as many as fit or as one computation gives; returns how many. */
  const readSegment = async (segment: Segment, from: number, target: Uint8Array): Promise<number> => {
    const most = Math.min(target.byteLength, segment.bytes - from, end - begin - from);
    switch (segment.kind) {
      case 'bytes':
        target.set(segment.content.subarray(from, from + most));
        return most;
      case 'copy':
        await readAt(segment, from, target.subarray(0, most));
        return most;
      default: {
        const size = DTYPE_BYTES[segment.output];
        // From a whole byte of the mask on; what lies before `from` is computed again and left out.
        const first = Math.floor(from / size / 8) * 8;
        const n = Math.min(elements, Math.ceil((from + most) / size) - first);
        const skip = from - first * size;
        const bytes = await compute(segment, first, n);
        const taken = Math.min(most, bytes.byteLength - skip);
        target.set(bytes.subarray(skip, skip + taken));
        return taken;
      }
    }
  };

  return {
    async read(target) {
      let filled = 0;
      while (filled < target.byteLength && at < end) {
        const segment = file.segments[index]!;
        if (at >= begin + segment.bytes) {
          begin += segment.bytes;
          index += 1;
          continue;
        }
        const read = await readSegment(segment, at - begin, target.subarray(filled));
        filled += read;
        at += read;
      }
      return filled;
    },
  };
}
