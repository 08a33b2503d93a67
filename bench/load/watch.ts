/** What the API process does meanwhile: its memory, and how late its event loop is, by its own metrics. */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';

export interface Sample {
  readonly at: number;
  /** Bytes resident. */
  readonly rss: number;
  readonly load: number;
}

export interface Watch {
  stop(): readonly Sample[];
}

const EVERY_MS = 500;

export function watchProcess(pid: number): Watch {
  const samples: Sample[] = [];
  const timer = setInterval(() => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
    samples.push({ at: performance.now(), rss, load: loadavg()[0]! });
  }, EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      return samples;
    },
  };
}

export function percentile(values: readonly number[], p: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] ?? Number.NaN;
}

/** Medians of a third at the start (after a sixth, in which caches fill) and of the last third. */
export function memoryTrend(samples: readonly Sample[]): { start: number; middle: number; end: number; peak: number } {
  const rss = samples.map((sample) => sample.rss);
  const part = (from: number, to: number) =>
    percentile(rss.slice(Math.floor(from * rss.length), Math.ceil(to * rss.length)), 50);
  return { start: part(1 / 6, 1 / 2), middle: part(1 / 3, 2 / 3), end: part(2 / 3, 1), peak: Math.max(...rss) };
}

/** Event-loop delays of prom-client's default metrics, in seconds, by name (`p50`, `p99`, `max`). */
export async function eventLoop(url: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Object.fromEntries(
    [...text.matchAll(/^nodejs_eventloop_lag_(\w+)_seconds (\S+)$/gm)].map(([, name, value]) => [name!, Number(value)]),
  );
}
