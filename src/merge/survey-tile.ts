import { locateFault } from '../kernels/faults.js';
import { createTaskVectors, type TaskVectors } from '../kernels/rules/task-vectors.js';
import { signBalance } from '../kernels/rules/ties.js';
import { countLower, countUpper, LOWER_BINS, UPPER_BINS } from '../kernels/rules/trim.js';
import { TILE_ELEMENTS, type TileFault } from '../kernels/types.js';
import type { SurveyProgram } from './thread-program.js';

/** What a survey finds in a run of elements; `figures` holds one row for each tile. */
export interface Surveyed {
  readonly fault?: TileFault | undefined;
  readonly figures: readonly number[];
}

/**
 * Surveys n elements from element `start` of a tensor on: `values` are base, tasks and statistics as f32. Figures are
 * sums over tiles in index order, so that neither items nor threads change them; counts are whole numbers.
 */
export function surveyTiles(
  program: Exclude<SurveyProgram, { kind: 'select' }>,
  tasks: number,
  values: readonly Float32Array[],
  n: number,
  start: number,
): Surveyed {
  if (program.kind === 'squares') return surveySquares(values.slice(1 + tasks), n);
  const weights = values.slice(0, 1 + tasks);
  const changed = createTaskVectors(tasks, program.changes);
  const plain = createTaskVectors(tasks, {});
  const count = countsOf(program, tasks);
  const figures: number[] = [];
  let sound = true;
  const each = (vectors: TaskVectors, tile: number, visit: (taus: readonly Float32Array[], m: number) => void) => {
    const m = Math.min(TILE_ELEMENTS, n - tile);
    const part = weights.map((row) => row.subarray(tile, tile + m));
    sound = vectors(part, m, start + tile, (taus, _from, length) => visit(taus, length)) && sound;
  };
  for (let tile = 0; tile < n; tile += TILE_ELEMENTS) {
    switch (program.kind) {
      case 'norms': {
        const norms = new Array<number>(2 * tasks).fill(0);
        each(plain, tile, (taus, m) => addNorms(taus, m, norms, 0));
        each(changed, tile, (taus, m) => addNorms(taus, m, norms, tasks));
        figures.push(...norms);
        break;
      }
      case 'balance': {
        let balance = 0;
        each(changed, tile, (taus, m) => {
          balance += signBalance(taus, m);
        });
        figures.push(balance);
        break;
      }
      default:
        each(changed, tile, count!.add);
    }
  }
  count?.flush();
  return { figures, fault: sound ? undefined : locateFault(weights, n, new Float32Array(n), () => 1) };
}

function addNorms(taus: readonly Float32Array[], m: number, norms: number[], at: number): void {
  for (const [t, tau] of taus.entries()) {
    let sum = norms[at + t]!;
    for (let i = 0; i < m; i++) sum += Math.abs(tau[i]!);
    norms[at + t] = sum;
  }
}

function surveySquares(diagonals: readonly Float32Array[], n: number): Surveyed {
  const figures: number[] = [];
  for (let tile = 0; tile < n; tile += TILE_ELEMENTS) {
    const end = Math.min(n, tile + TILE_ELEMENTS);
    for (const diagonal of diagonals) {
      let sum = 0;
      for (let i = tile; i < end; i++) sum += diagonal[i]! * diagonal[i]!;
      figures.push(sum);
    }
  }
  return { figures };
}

/** Counts on this thread's side, then adds what is not 0 to the shared counts: an atomic addition is slow. */
function countsOf(program: SurveyProgram, tasks: number) {
  if (program.kind !== 'upper' && program.kind !== 'lower') return undefined;
  const bins = program.kind === 'upper' ? UPPER_BINS : LOWER_BINS;
  const counts = Array.from({ length: tasks }, () => new Uint32Array(bins));
  return {
    add(taus: readonly Float32Array[], m: number) {
      for (const [t, tau] of taus.entries()) {
        if (program.kind === 'upper') countUpper(tau, m, counts[t]!);
        else countLower(tau, m, program.upper[t]!, counts[t]!);
      }
    },
    flush() {
      const shared = new BigUint64Array(program.counts);
      for (const [t, own] of counts.entries()) {
        own.forEach((value, bin) => {
          if (value > 0) Atomics.add(shared, t * bins + bin, BigInt(value));
        });
      }
    },
  };
}
