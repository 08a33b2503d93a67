import { PIXELS, SIDE } from '../../examples/digits/data.js';
import { createRandom, shuffled } from '../../examples/digits/random.js';

/** Changes 14 × 14 images of 0 … 255, any number of them, each by itself. */
export type Transform = (pixels: Uint8Array) => Uint8Array;

const LAST = SIDE - 1;
const HALF = SIDE / 2;

/** Moves pixels: row and column of the result come from `from(row, column)`, the index of a pixel of the image. */
function move(from: (row: number, column: number) => number): Transform {
  const map = Array.from({ length: PIXELS }, (_, pixel) => from(Math.floor(pixel / SIDE), pixel % SIDE));
  return (pixels) => pixels.map((_, index) => pixels[index - (index % PIXELS) + map[index % PIXELS]!]!);
}

const at = (row: number, column: number) => SIDE * row + column;

/** The eight symmetries of a square. */
export const SYMMETRIES: Readonly<Record<string, Transform>> = {
  plain: (pixels) => pixels,
  'rotated-90': move((row, column) => at(column, LAST - row)),
  'rotated-180': move((row, column) => at(LAST - row, LAST - column)),
  'rotated-270': move((row, column) => at(LAST - column, row)),
  transposed: move((row, column) => at(column, row)),
  'anti-transposed': move((row, column) => at(LAST - column, LAST - row)),
  mirrored: move((row, column) => at(row, LAST - column)),
  flipped: move((row, column) => at(LAST - row, column)),
};

export const inverted: Transform = (pixels) => pixels.map((value) => 255 - value);

/** Every pixel becomes the mean of the 3 × 3 around it; what lies outside counts as its nearest pixel. */
export const blurred: Transform = (pixels) => {
  const inside = (index: number) => Math.min(Math.max(index, 0), LAST);
  return pixels.map((_, index) => {
    const start = index - (index % PIXELS);
    const [row, column] = [Math.floor((index % PIXELS) / SIDE), index % SIDE];
    let sum = 0;
    for (let y = row - 1; y <= row + 1; y += 1) {
      for (let x = column - 1; x <= column + 1; x += 1) sum += pixels[start + at(inside(y), inside(x))]!;
    }
    return Math.round(sum / 9);
  });
};

export const quadrantsSwapped = move((row, column) => at((row + HALF) % SIDE, (column + HALF) % SIDE));

export function permuted(seed: number): Transform {
  const order = shuffled(PIXELS, createRandom(seed));
  return move((row, column) => order[at(row, column)]!);
}

export function rowsShuffled(seed: number): Transform {
  const order = shuffled(SIDE, createRandom(seed));
  return move((row, column) => at(order[row]!, column));
}

export function columnsShuffled(seed: number): Transform {
  const order = shuffled(SIDE, createRandom(seed));
  return move((row, column) => at(row, order[column]!));
}

export const chain =
  (...transforms: readonly Transform[]): Transform =>
  (pixels) =>
    transforms.reduce((changed, transform) => transform(changed), pixels);
