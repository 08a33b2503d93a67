import { PIXELS, SIDE } from './data.js';
import { createRandom, shuffled } from './random.js';

/** Where images come from; README.md says under which licence. */
export type Source = 'mnist' | 'fashion' | 'uci';

/** One of the eight tasks: ten classes each, images of 14 × 14. */
export interface Task {
  readonly name: string;
  readonly source: Source;
  /** Which part of the source's training images it is trained on: no two tasks share an image. */
  readonly part: number;
  /** What is done to its images, of any number, before they are standardised. */
  readonly transform: (pixels: Uint8Array) => Uint8Array;
}

/** Moves pixels: row and column of the result come from `from(row, column)`, the index of a pixel of the image. */
function move(from: (row: number, column: number) => number): Task['transform'] {
  const map = Array.from({ length: PIXELS }, (_, pixel) => from(Math.floor(pixel / SIDE), pixel % SIDE));
  return (pixels) => pixels.map((_, index) => pixels[index - (index % PIXELS) + map[index % PIXELS]!]!);
}

const LAST = SIDE - 1;
const permutation = shuffled(PIXELS, createRandom(196));

const same: Task['transform'] = (pixels) => pixels;
const inverted: Task['transform'] = (pixels) => pixels.map((value) => 255 - value);
const rotated90 = move((row, column) => SIDE * column + (LAST - row));
const rotated180 = move((row, column) => SIDE * (LAST - row) + (LAST - column));
const transposed = move((row, column) => SIDE * column + row);
const permuted = move((row, column) => permutation[SIDE * row + column]!);

export const TASKS: readonly Task[] = [
  { name: 'mnist', source: 'mnist', part: 0, transform: same },
  { name: 'fashion', source: 'fashion', part: 0, transform: same },
  { name: 'uci-digits', source: 'uci', part: 0, transform: same },
  { name: 'mnist-rotated-90', source: 'mnist', part: 1, transform: rotated90 },
  { name: 'fashion-rotated-180', source: 'fashion', part: 1, transform: rotated180 },
  { name: 'mnist-inverted', source: 'mnist', part: 2, transform: inverted },
  { name: 'fashion-transposed', source: 'fashion', part: 2, transform: transposed },
  { name: 'mnist-permuted', source: 'mnist', part: 3, transform: permuted },
];
