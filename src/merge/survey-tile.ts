import { locateBadStatistic, locateFault } from '../kernels/faults.js';
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

export interface Surveyor {
  /**
   * Surveys n elements from element `start` of a tensor on: `values` are base, tasks and statistics as f32. Figures are
   * sums over tiles in index order, so that neither items nor threads change them; counts are whole numbers.
   */
  survey(program: TileSurvey, values: readonly Float32Array[], n: number, start: number): Surveyed;
  /** After the last item: adds what was counted here to the counts that threads share. */
  flush(): void;
}

type TileSurvey = Exclude<SurveyProgram, { kind: 'select' }>;
type CountProgram = Extract<SurveyProgram, { counts: SharedArrayBuffer }>;

/** For one lane and one job. */
export function createSurveyor(tasks: number): Surveyor {
  let counter: ReturnType<typeof createCounter> | undefined;
  return {
    survey(program, values, n, start) {
      if (program.kind === 'squares') return surveySquares(values.slice(1 + tasks), n);
      const weights = values.slice(0, 1 + tasks);
      const changed = createTaskVectors(tasks, program.changes);
      let sound = true;
      const each = (vectors: TaskVectors, tile: number, visit: (taus: readonly Float32Array[], m: number) => void) => {
        const m = Math.min(TILE_ELEMENTS, n - tile);
        const part = weights.map((row) => row.subarray(tile, tile + m));
        sound = vectors(part, m, start + tile, (taus, _from, length) => visit(taus, length)) && sound;
      };
      const figures: number[] = [];
      for (let tile = 0; tile < n; tile += TILE_ELEMENTS) {
        if (program.kind === 'norms') {
          const norms = new Array<number>(2 * tasks).fill(0);
          each(createTaskVectors(tasks, {}), tile, (taus, m) => addNorms(taus, m, norms, 0));
          each(changed, tile, (taus, m) => addNorms(taus, m, norms, tasks));
          figures.push(...norms);
        } else if (program.kind === 'balance') {
          let balance = 0;
          each(changed, tile, (taus, m) => {
            balance += signBalance(taus, m);
          });
          figures.push(balance);
        } else {
          counter ??= createCounter(program, tasks);
          each(changed, tile, counter.add);
        }
      }
      return { figures, fault: sound ? undefined : locateFault(weights, n, new Float32Array(n), () => 1) };
    },
    flush: () => counter?.flush(),
  };
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
  return { figures, fault: figures.every(Number.isFinite) ? undefined : locateBadStatistic(diagonals, n) };
}

/** Elements of a task after which a count may be near the end of 32 bits. */
const MAX_COUNTED = 2 ** 31;

/** Counts on this lane's side, since an atomic addition is slow and so is a look at all bins. */
function createCounter(program: CountProgram, tasks: number) {
  const bins = program.kind === 'upper' ? UPPER_BINS : LOWER_BINS;
  const counts = Array.from({ length: tasks }, () => new Uint32Array(bins));
  let counted = 0;
  const flush = () => {
    const shared = new BigUint64Array(program.counts);
    for (const [t, own] of counts.entries()) {
      for (let bin = 0; bin < bins; bin++) {
        if (own[bin]! > 0) Atomics.add(shared, t * bins + bin, BigInt(own[bin]!));
      }
      own.fill(0);
    }
    counted = 0;
  };
  return {
    flush,
    add(taus: readonly Float32Array[], m: number) {
      counted += m;
      if (counted > MAX_COUNTED) flush();
      for (const [t, tau] of taus.entries()) {
        if (program.kind === 'upper') countUpper(tau, m, counts[t]!);
        else countLower(tau, m, program.upper[t]!, counts[t]!);
      }
    },
  };
}
