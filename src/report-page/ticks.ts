export interface Ticks {
  readonly min: number;
  readonly max: number;
  readonly interval: number;
}

const ROUND = [1, 2, 2.5, 5, 10];
/** Intervals of an axis: its numbers must have room on a phone. */
const INTERVALS = 3;
/** Below this there is no power of ten to step by. */
const LEAST_RANGE = 1e-300;

/** An axis from 0, or from below if a value is, in few round steps; `top` is its end where the figure has a natural one. */
export function ticksFor(values: readonly number[], top?: number): Ticks {
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), top ?? 0);
  if (high - low < LEAST_RANGE) return { min: 0, max: 1, interval: 1 };
  if (low === 0 && high === top) return { min: 0, max: top, interval: top / 2 };
  const rough = (high - low) / INTERVALS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = ROUND.find((step) => step * power >= rough * (1 - 1e-9))! * power;
  // A little less than a whole step is not worth another one.
  return {
    min: Math.floor(low / interval + 1e-9) * interval,
    max: Math.ceil(high / interval - 1e-9) * interval,
    interval,
  };
}
