import { DTYPE_BYTES, type OutputDtype } from '../dtype.js';
import type { Engine, ReconstructWorkspace } from '../kernels/types.js';
import type { Segment, SegmentReaders, VirtualFile } from './virtual-file.js';

/**
 * Elements made at a time: a multiple of 8, so that masks are read at whole bytes. 256 KiB of f32: base, u and output
 * stay in the processor's cache, and one write is large enough for the socket.
 */
const CHUNK_ELEMENTS = 65_536;

/**
 * Buffers in flight: one with the socket, one in the stream between, one handed over, one being made. A consumer that
 * holds more than `RING − 1` chunks at once must copy them.
 */
export const RING = 4;

/**
 * Bytes start … end − 1 of a virtual file, computed as they are asked for. Each chunk is valid until RING − 1 further
 * ones have been asked for. Ŵ = W_pre + λ·(M⊙u), SEMANTICS "EMR" 5.
 */
export async function* readVirtual(
  engine: Engine,
  readers: SegmentReaders,
  file: VirtualFile,
  start = 0,
  end = file.bytes,
): AsyncGenerator<Uint8Array> {
  const ring: ReconstructWorkspace[] = [];
  let turn = 0;
  const workspace = () => {
    const slot = turn++ % RING;
    ring[slot] ??= engine.createReconstruct(CHUNK_ELEMENTS);
    return ring[slot]!;
  };
  let at = 0;
  for (const segment of file.segments) {
    const from = Math.max(start, at) - at;
    const to = Math.min(end, at + segment.bytes) - at;
    at += segment.bytes;
    if (from < to) yield* readSegment(segment, from, to, readers, workspace);
    if (at >= end) return;
  }
}

async function* readSegment(
  segment: Segment,
  from: number,
  to: number,
  readers: SegmentReaders,
  workspace: () => ReconstructWorkspace,
): AsyncGenerator<Uint8Array> {
  if (segment.kind === 'bytes') {
    yield segment.content.subarray(from, to);
    return;
  }
  if (segment.kind === 'copy') {
    const reader = await readers.open(segment.file);
    const most = CHUNK_ELEMENTS * DTYPE_BYTES.F32;
    for (let done = from; done < to; done += most) {
      const bytes = Math.min(most, to - done);
      // The base slot of a workspace is as good a buffer as any, and it is in the ring.
      const target = workspace()
        .base(Math.ceil(bytes / 4), 'F32')
        .subarray(0, bytes);
      await reader.read(target, segment.offset + done);
      yield target;
    }
    return;
  }
  const size = DTYPE_BYTES[segment.output];
  // Whole bytes of the mask: the first chunk starts at a multiple of 8 elements, and what was not asked for is cut off.
  for (let first = Math.floor(from / size / 8) * 8; first * size < to; first += CHUNK_ELEMENTS) {
    const n = Math.min(CHUNK_ELEMENTS, segment.n - first);
    const bytes = await makeChunk(segment, first, n, readers, workspace());
    yield bytes.subarray(Math.max(0, from - first * size), Math.min(bytes.byteLength, to - first * size));
  }
}

async function makeChunk(
  segment: Extract<Segment, { kind: 'cast' | 'modulate' }>,
  first: number,
  n: number,
  readers: SegmentReaders,
  workspace: ReconstructWorkspace,
): Promise<Uint8Array> {
  const base = segment.kind === 'cast' ? segment.from : segment.base;
  const read = async (
    input: { file: Parameters<SegmentReaders['open']>[0]; offset: number },
    at: number,
    target: Uint8Array,
  ) => (await readers.open(input.file)).read(target, input.offset + at);

  const reads = [read(base, first * DTYPE_BYTES[base.dtype], workspace.base(n, base.dtype))];
  let unified: OutputDtype = 'F32';
  let rescaler = 0;
  if (segment.kind === 'modulate') {
    unified = segment.unified.dtype as OutputDtype; // a unified vector is never F64
    rescaler = segment.rescaler;
    reads.push(
      read(segment.unified, first * DTYPE_BYTES[unified], workspace.unified(n, unified)),
      read(segment.mask, first / 8, workspace.mask(n)),
    );
  } else {
    // A cast is a reconstruction in which the mask is 0 everywhere.
    workspace.mask(n).fill(0);
    workspace.unified(n, unified).fill(0);
  }
  await Promise.all(reads);
  return workspace.run({ n, base: base.dtype, unified, output: segment.output, rescaler });
}
