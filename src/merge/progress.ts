import type { Progress } from '../queue/types.js';

/** Weight of the newest rate in the running average: steady enough to read, quick enough to show a stall. */
const SMOOTHING = 0.2;
const INTERVAL_MS = 200;

export interface ProgressMeter {
  phase(name: string): void;
  add(bytes: number): void;
}

/** Counts bytes towards a total and reports phase, sum and rate a few times a second. */
export function createProgressMeter(
  bytesTotal: number,
  report: (progress: Progress) => void,
  now: () => number = () => performance.now(),
): ProgressMeter {
  let phase = 'starting';
  let done = 0;
  let rate = 0;
  let last = { at: now(), done: 0 };
  const send = () => report({ phase, bytes_done: done, bytes_total: bytesTotal, bytes_per_second: Math.round(rate) });
  return {
    phase(name) {
      phase = name;
      send();
    },
    add(bytes) {
      done += bytes;
      const at = now();
      const elapsed = at - last.at;
      if (elapsed < INTERVAL_MS) return;
      const current = ((done - last.done) / elapsed) * 1000;
      rate = rate === 0 ? current : rate + SMOOTHING * (current - rate);
      last = { at, done };
      send();
    },
  };
}
