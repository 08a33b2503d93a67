import { DTYPE_BYTES } from '../dtype.js';
import type { Segment } from './virtual-file.js';

/** Elements made at a time: 1 MiB of f32, one write to the socket. */
export const PIECE_ELEMENTS = 262_144;

/** A run of bytes of one segment that is made at once. */
export interface Piece {
  readonly segment: Segment;
  /** Bytes of the segment, `to` exclusive. */
  readonly from: number;
  readonly to: number;
}

/** Bytes start … end − 1 of a virtual file in pieces of at most `elements` elements of their segment's output. */
export function* cutPieces(
  segments: readonly Segment[],
  start: number,
  end: number,
  elements: number,
): Generator<Piece> {
  let begin = 0;
  for (const segment of segments) {
    const last = Math.min(end - begin, segment.bytes);
    for (let from = Math.max(0, start - begin); from < last; ) {
      const to = Math.min(last, pieceEnd(segment, from, elements));
      yield { segment, from, to };
      from = to;
    }
    begin += segment.bytes;
    if (begin >= end) return;
  }
}

/** Computed pieces end at a multiple of 8 elements, so that the next one's mask begins with a whole byte. */
function pieceEnd(segment: Segment, from: number, elements: number): number {
  if (segment.kind === 'bytes' || segment.kind === 'copy') return from + elements * DTYPE_BYTES.F32;
  const size = DTYPE_BYTES[segment.output];
  return (firstElement(from, size) + elements) * size;
}

/** The element to compute from, for bytes from `from` on: the mask can only be read from a whole byte. */
export function firstElement(from: number, size: number): number {
  return Math.floor(from / size / 8) * 8;
}
