import type { FloatDtype, OutputDtype } from '../src/dtype.js';
import { loadEngine } from '../src/kernels/engine.js';
import { type Engine, TILE_ELEMENTS } from '../src/kernels/types.js';
import { medianOf, printTable, seconds } from './table.js';

export interface KernelRow {
  readonly name: string;
  /** Bytes per second: of inputs for a merge (base and tasks), of outputs for a reconstruction and a copy. */
  readonly rate: number;
}

const COPY_BYTES = 256 * 2 ** 20;
/** Small enough to stay in the caches with base and 8 tasks, as a tile does that was just read. */
const IN_CACHE = 8192;
const ROUNDS = 15;

/**
 * Rates of the engines beside the rate at which this machine copies memory, one thread. The subjects take turns, round
 * by round, and what counts is the median of each, so that what else the machine does meets all of them alike.
 */
export async function benchKernels(): Promise<KernelRow[]> {
  const simd = await loadEngine('simd');
  const scalar = await loadEngine('scalar');
  const subjects = [
    copySubject(),
    ...[8, 30].flatMap((tasks) =>
      (['F32', 'BF16'] as const).flatMap((dtype) => [
        emrSubject(simd, tasks, dtype, IN_CACHE),
        emrSubject(simd, tasks, dtype, 4 * TILE_ELEMENTS),
        emrSubject(scalar, tasks, dtype, IN_CACHE),
      ]),
    ),
    reconstructSubject(simd, 'F32', 'F32'),
    reconstructSubject(simd, 'BF16', 'F32'),
    reconstructSubject(simd, 'BF16', 'BF16'),
    reconstructSubject(scalar, 'F32', 'F32'),
  ];
  const rates: number[][] = subjects.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    subjects.forEach(({ run, bytes }, i) => {
      rates[i]!.push(bytes / seconds(run));
    });
  }
  const rows = subjects.map(({ name }, i) => ({ name, rate: medianOf(rates[i]!) }));
  const cell = ({ name, rate }: KernelRow) => [
    name,
    `${(rate / 1e9).toFixed(2)} GB/s`,
    `${(rate / rows[0]!.rate).toFixed(2)} × memcpy`,
  ];
  printTable('Kernels, one thread, all sums on', rows.map(cell));
  return rows;
}

interface Subject {
  readonly name: string;
  readonly bytes: number;
  run(): void;
}

/** Repeats short work until a round takes some milliseconds; the first call warms up. */
function repeated(name: string, bytes: number, once: () => void, least = 0.02): Subject {
  for (let spent = 0; spent < least; ) spent += seconds(once);
  const times = Math.max(1, Math.round(least / seconds(once)));
  return {
    name,
    bytes: bytes * times,
    run: () => {
      for (let i = 0; i < times; i++) once();
    },
  };
}

function copySubject(): Subject {
  const [from, to] = [Buffer.alloc(COPY_BYTES, 1), Buffer.alloc(COPY_BYTES, 2)];
  return repeated(`memcpy of ${COPY_BYTES >> 20} MiB`, COPY_BYTES, () => from.copy(to));
}

/** Fills bytes with numbers near each other, as fine-tunes of one base are; the exponents are those of 0.5 … 2. */
function fill(bytes: Uint8Array, dtype: FloatDtype, seed: number): void {
  const upper = dtype === 'F32' ? 2 : 0;
  const size = dtype === 'F32' ? 4 : 2;
  let state = seed;
  for (let i = 0; i < bytes.length; i += size) {
    for (let k = 0; k < size; k++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      bytes[i + k] = state >>> 24;
    }
    bytes[i + upper + 1] = 0x3f;
    bytes[i + upper]! |= 0x40;
  }
}

function emrSubject(engine: Engine, tasks: number, dtype: 'F32' | 'BF16', n: number): Subject {
  const elements = Math.ceil(n / TILE_ELEMENTS) * TILE_ELEMENTS;
  const workspace = engine.createMerge({ tasks, elements, wide: false });
  const slots = Array.from({ length: tasks + 1 }, (_, slot) => workspace.input(slot, n, dtype));
  slots.forEach((slot, i) => {
    fill(slot, dtype, i + 1);
  });
  // A BF16 tile is cast in place, so each call needs its input again: the copy is part of what is measured.
  const originals = dtype === 'F32' ? [] : slots.map((slot) => Uint8Array.from(slot));
  const tile = { n, base: dtype, tasks: slots.slice(1).map(() => dtype), zeroSign: 'zero', output: 'F32' } as const;
  const bytes = slots.reduce((sum, slot) => sum + slot.length, 0);
  const where = n === IN_CACHE ? 'in cache' : 'beyond';
  return repeated(`${engine.name} EMR, N = ${tasks}, ${dtype}, ${where}`, bytes, () => {
    originals.forEach((original, i) => {
      slots[i]!.set(original);
    });
    workspace.emr(tile);
  });
}

function reconstructSubject(engine: Engine, dtype: 'F32' | 'BF16', unified: OutputDtype): Subject {
  const n = TILE_ELEMENTS;
  const workspace = engine.createReconstruct(n);
  fill(workspace.base(n, dtype), dtype, 1);
  fill(workspace.unified(n, unified), unified, 2);
  workspace.mask(n).forEach((_, i, mask) => {
    mask[i] = i * 97;
  });
  const tile = { n, base: dtype, unified, output: dtype, rescaler: 1.1 } as const;
  const bytes = workspace.run(tile).length;
  return repeated(`${engine.name} reconstruct, base ${dtype}, u ${unified}`, bytes, () => workspace.run(tile));
}
