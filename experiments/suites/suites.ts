import { TASKS } from '../../examples/digits/tasks.js';
import {
  blurred,
  chain,
  columnsShuffled,
  inverted,
  permuted,
  quadrantsSwapped,
  rowsShuffled,
  SYMMETRIES,
  type Transform,
} from './transforms.js';
import type { Span, Suite, SuiteTask } from './types.js';

/** Of MNIST and of Fashion-MNIST each: the base's images, those of the tasks, and the last 1,000 for validation. */
export const BASE_IMAGES: Span = { first: 0, end: 20_000 };
const VALIDATION: Span = { first: 59_000, end: 60_000 };

const span = (first: number, count: number): Span => ({ first, end: first + count });

/** The tasks of examples/digits. Its UCI digits train on all that are not for testing, so none are left to validate. */
const digits8: Suite = {
  name: 'digits8',
  version: 1,
  steps: 500,
  tasks: TASKS.map(({ name, source, part, transform }) =>
    source === 'uci'
      ? { name, source, transform, training: span(0, 1297) }
      : { name, source, transform, training: span(BASE_IMAGES.end + 8000 * part, 8000), validation: VALIDATION },
  ),
};

/** Tasks of one large source, each with as many images of its own. */
function ofSource(source: 'mnist' | 'fashion', transforms: readonly [string, Transform][], images: number) {
  return transforms.map(
    ([change, transform], index): SuiteTask => ({
      name: `${source}-${change}`,
      source,
      transform,
      training: span(BASE_IMAGES.end + images * index, images),
      validation: VALIDATION,
    }),
  );
}

/** Takes from the lists in turn, so that every prefix is as mixed as the whole. */
function alternate<T>(...lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, index) => lists.flatMap((list) => list.slice(index, index + 1))).flat();
}

const fourteen = (seed: number): [string, Transform][] => [
  ...Object.entries(SYMMETRIES),
  ['inverted', inverted],
  ['blurred', blurred],
  ['quadrants-swapped', quadrantsSwapped],
  ['permuted', permuted(seed)],
  ['rows-shuffled', rowsShuffled(seed + 1)],
  ['permuted-inverted', chain(permuted(seed + 2), inverted)],
];

/** Thirty tasks, as many as the paper's largest merge: fourteen of each large source with 2,700 images, two of UCI. */
const tasks30: Suite = {
  name: 'tasks30',
  version: 1,
  steps: 500,
  tasks: alternate(
    ofSource('mnist', fourteen(1400), 2700),
    ofSource('fashion', fourteen(2400), 2700),
    (
      [
        ['plain', SYMMETRIES.plain!],
        ['permuted', permuted(3400)],
      ] as const
    ).map(([change, transform], index) => ({
      name: `uci-${change}`,
      source: 'uci' as const,
      transform,
      training: span(500 * index, 500),
      validation: span(1000, 297),
    })),
  ),
};

/** The symmetries plain, inverted and blurred, then random orders of rows, columns and pixels. */
function fifty(seed: number): [string, Transform][] {
  const toned = (tone: string, change: Transform) =>
    Object.entries(SYMMETRIES).map(([name, symmetry]): [string, Transform] => [
      `${name}-${tone}`,
      chain(symmetry, change),
    ]);
  const random = (name: string, count: number, make: (seed: number) => Transform) =>
    Array.from({ length: count }, (_, index): [string, Transform] => [`${name}-${index + 1}`, make(seed + index)]);
  return [
    ...Object.entries(SYMMETRIES),
    ...toned('inverted', inverted),
    ...toned('blurred', blurred),
    ...random('rows', 6, (own) => rowsShuffled(own + 100)),
    ...random('columns', 6, (own) => columnsShuffled(own + 200)),
    ...random('permuted', 14, (own) => permuted(own + 300)),
  ];
}

/** A hundred tasks that are cheap to train: 760 images each, 150 steps. */
const cheap100: Suite = {
  name: 'cheap100',
  version: 1,
  steps: 150,
  tasks: alternate(ofSource('mnist', fifty(10_000), 760), ofSource('fashion', fifty(20_000), 760)),
};

export const SUITES = { digits8, tasks30, cheap100 } as const;
export type SuiteName = keyof typeof SUITES;
