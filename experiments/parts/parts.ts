import { ENTRIES } from '../methods/catalogue.js';
import { comparison } from './comparison.js';
import { interference } from './interference.js';
import { masks } from './masks.js';
import { precision } from './precision.js';
import { scaling } from './scaling.js';
import type { Part } from './types.js';

/** Where a measurement takes longer, two rates of DARE are left out. */
const FEWER = ENTRIES.filter(({ name }) => !/^DARE p 0\.[37]/.test(name));

/** In the order of the document, which is also that of the work. */
export const PARTS: readonly Part[] = [
  comparison({
    name: 'digits8',
    title: 'Eight tasks',
    about:
      'The tasks of examples/digits; seed 1 is the checkpoints that are committed there. Random heads, trained with the body.',
    suite: 'digits8',
    architecture: 'mlp',
    head: 'random',
    joint: true,
    perTask: true,
  }),
  comparison({
    name: 'probed',
    title: 'Eight tasks, with heads that were fitted to the base',
    about: `The same tasks under the other protocol: a linear probe is fitted to the base's frozen body, then the body is
fine-tuned under that head, which stays as it is.`,
    suite: 'digits8',
    architecture: 'mlp',
    head: 'probed',
    joint: false,
    perTask: false,
  }),
  comparison({
    name: 'tasks30',
    title: 'Thirty tasks',
    about: `Fourteen transforms of MNIST and of Fashion-MNIST, 2,700 images each, and two of the UCI digits, 500 images each.
No two tasks share an image. Random heads.

AdaMerging begins with every λ at 0.3, as it does elsewhere. For thirty task vectors that is far from any λ that works (see
Task Arithmetic), and 500 steps of 0.001 do not lead back: its rows show what the usual settings give here, not what it can reach.`,
    suite: 'tasks30',
    architecture: 'mlp',
    head: 'random',
    joint: true,
    perTask: false,
    entries: FEWER,
  }),
  scaling({
    name: 'scaling30',
    title: 'Accuracy against the number of tasks, 2 to 30',
    about:
      'Random sets of the thirty tasks, two for each number and seed; λ and the settings of TIES are picked for each set.',
    suite: 'tasks30',
    counts: [2, 4, 8, 12, 16, 20, 24, 30],
    draws: 2,
  }),
  scaling({
    name: 'scaling100',
    title: 'Beyond thirty: up to a hundred cheaper tasks',
    about: `A hundred tasks of 760 images and 150 steps each: symmetries of MNIST and Fashion-MNIST, plain, inverted and
blurred, and random orders of rows, columns and pixels.`,
    suite: 'cheap100',
    counts: [2, 8, 30, 50, 75, 100],
    draws: 1,
  }),
  interference,
  masks,
  precision,
  comparison({
    name: 'vit',
    title: 'A small vision transformer',
    about: `The eight tasks on a transformer of two blocks (one head of attention, width 48, a token for each row of pixels),
trained as the MLP is.`,
    suite: 'digits8',
    architecture: 'vit',
    head: 'random',
    joint: false,
    perTask: false,
    entries: FEWER,
  }),
] as Part<never>[] as Part[];

/** Of `--quick`: the committed checkpoints, methods that need nothing else, and no image that is not at hand. */
export const QUICK: readonly Part[] = [
  comparison({
    name: 'quick',
    title: 'Eight tasks, quickly',
    about: 'The checkpoints of examples/digits, and methods without settings to pick.',
    suite: 'digits8',
    architecture: 'mlp',
    head: 'random',
    joint: false,
    perTask: true,
    entries: ENTRIES.filter(({ name }) => ['Weight averaging', 'EMR, global', 'EMR, l2'].includes(name)),
  }),
] as Part<never>[] as Part[];
