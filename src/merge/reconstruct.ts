import type { Sources } from '../catalog/sources.js';
import { DTYPE_BYTES, type OutputDtype } from '../dtype.js';
import type { Engine, ReconstructWorkspace } from '../kernels/types.js';
import type { Store } from '../store/types.js';
import { cutPieces, firstElement, type Piece } from './pieces.js';
import { createSegmentReaders, type SegmentReaders } from './segment-readers.js';
import type { SegmentFile, VirtualFile } from './virtual-file.js';

/** Elements made at a time: 1 MiB of f32, one write to the socket. */
const PIECE_ELEMENTS = 262_144;

/** Pieces that are read and computed while an earlier one is sent. */
const AHEAD = 2;

/**
 * Chunks that a consumer may hold while it asks for another: one with the socket, one in the stream between. The chunk
 * before these is overwritten.
 */
export const CHUNKS_HELD = 2;

/** Workspaces kept for later downloads; a new one is a WebAssembly memory of some 3 MiB. */
const MAX_IDLE = 16;

export interface Reconstructor {
  /**
   * Bytes start … end − 1 of a virtual file, Ŵ = W_pre + λ·(M⊙u) computed as they are asked for (SEMANTICS, "EMR" 5).
   * `prefix` is that of the merge's attempt. See CHUNKS_HELD; the last chunks stay as they are until `consumed` settles.
   */
  read(
    prefix: string,
    file: VirtualFile,
    start: number,
    end: number,
    consumed: Promise<unknown>,
  ): AsyncGenerator<Uint8Array>;
}

interface Made {
  readonly bytes: Uint8Array;
  readonly workspace: ReconstructWorkspace;
}

export function createReconstructor(store: Store, sources: Sources, engine: Engine): Reconstructor {
  const idle: ReconstructWorkspace[] = [];
  const give = (workspace: ReconstructWorkspace) => {
    if (idle.length < MAX_IDLE) idle.push(workspace);
  };

  return {
    async *read(prefix, file, start, end, consumed) {
      const readers = createSegmentReaders(store, sources, prefix);
      const pieces = cutPieces(file.segments, start, end, PIECE_ELEMENTS);
      const taken: ReconstructWorkspace[] = [];
      const free: ReconstructWorkspace[] = [];
      const held: ReconstructWorkspace[] = [];
      const ahead: Promise<Made>[] = [];
      const take = (): ReconstructWorkspace => {
        const workspace = free.pop() ?? idle.pop() ?? engine.createReconstruct(PIECE_ELEMENTS);
        if (!taken.includes(workspace)) taken.push(workspace);
        return workspace;
      };
      const startNext = () => {
        const next = pieces.next();
        if (next.done) return;
        const workspace = take();
        const made = makePiece(next.value, readers, workspace).then((bytes) => ({ bytes, workspace }));
        made.catch(() => {}); // seen when its turn comes, or not at all if nobody asks for it any more
        ahead.push(made);
      };

      try {
        for (let i = 0; i < AHEAD; i++) startNext();
        for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) {
          const { bytes, workspace } = await next;
          startNext();
          yield bytes;
          held.push(workspace);
          if (held.length > CHUNKS_HELD) free.push(held.shift()!);
        }
      } finally {
        // Reads under way still fill their workspaces, and the socket may still send from one.
        await Promise.allSettled(ahead);
        await readers.close();
        void consumed.finally(() => taken.forEach(give)).catch(() => {});
      }
    },
  };
}

async function makePiece(
  { segment, from, to }: Piece,
  readers: SegmentReaders,
  workspace: ReconstructWorkspace,
): Promise<Uint8Array> {
  const read = async (place: { file: SegmentFile; offset: number }, at: number, target: Uint8Array) =>
    (await readers.open(place.file)).read(target, place.offset + at);

  if (segment.kind === 'bytes') return segment.content.subarray(from, to);
  if (segment.kind === 'copy') {
    // The base's slot is as good a buffer as any, and it lives as long as the chunk.
    const target = workspace.base(Math.ceil((to - from) / DTYPE_BYTES.F32), 'F32').subarray(0, to - from);
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
    reads.push(
      read(segment.unified, first * DTYPE_BYTES[unified], workspace.unified(n, unified)),
      read(segment.mask, first / 8, workspace.mask(n)),
    );
  } else {
    // A cast is a reconstruction in which the mask is 0 everywhere.
    workspace.mask(n).fill(0);
  }
  await Promise.all(reads);
  const bytes = workspace.run({ n, base: base.dtype, unified, output: segment.output, rescaler });
  return bytes.subarray(from - first * size, to - first * size);
}
