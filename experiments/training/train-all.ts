import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Models } from './models.js';
import { baseSpec, labelOf, type ModelSpec } from './specs.js';

const PROCESS = fileURLToPath(new URL('trainer-process.js', import.meta.url));

export interface TrainingOptions {
  readonly processes: number;
  readonly cacheFolder: string;
  readonly uciFile: string;
  /** No model is begun after this many seconds. */
  readonly seconds: number;
  readonly say: (text: string) => void;
}

/** Trains what is missing of `specs`, bases first, in processes side by side. Gives how many are still missing. */
export async function trainAll(specs: readonly ModelSpec[], models: Models, options: TrainingOptions): Promise<number> {
  const unique = new Map([...specs.map(baseSpec), ...specs].map((spec) => [labelOf(spec), spec]));
  const wanted: ModelSpec[] = [];
  for (const spec of unique.values()) if (!(await models.has(spec))) wanted.push(spec);
  const deadline = performance.now() + 1000 * options.seconds;
  const bases = wanted.filter(({ kind }) => kind === 'base');
  let done = await trainEach(bases, deadline, options);
  if (done === bases.length)
    done += await trainEach(
      wanted.filter((spec) => !bases.includes(spec)),
      deadline,
      options,
    );
  return wanted.length - done;
}

async function trainEach(specs: readonly ModelSpec[], deadline: number, options: TrainingOptions): Promise<number> {
  const queue = [...specs];
  let done = 0;
  async function work(): Promise<void> {
    const child = fork(PROCESS, [options.cacheFolder, options.uciFile]);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`A training process ended with ${code}`);
    });
    // Only waited for while a model is being trained.
    ended.catch(() => {});
    while (performance.now() < deadline) {
      const spec = queue.shift();
      if (!spec) break;
      const started = performance.now();
      child.send(spec);
      await Promise.race([once(child, 'message'), ended]);
      done += 1;
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      options.say(`trained ${labelOf(spec)} in ${seconds} s; ${queue.length} left`);
    }
    child.disconnect();
  }
  await Promise.all(Array.from({ length: Math.min(options.processes, specs.length) }, work));
  return done;
}
