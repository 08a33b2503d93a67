/**
 * `npm run faults -- [--trials N] [--seed S] [--lock SECONDS] [--recovery N]`: trials with the seeds S, S + 1, …, one line
 * each. A trial that fails ends the run; `--trials 1 --seed <its seed>` runs it again.
 */
import { parseArgs } from 'node:util';
import type { StoreKind } from './cluster.js';
import { measureRecovery } from './recovery.js';
import { describeFault, scheduleOf } from './schedule.js';
import { openStage, runTrial, type Stage } from './trial.js';

const { values } = parseArgs({
  options: {
    trials: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    /** EMR_LOCK_SECONDS: short, so that trials are. */
    lock: { type: 'string', default: '2' },
    /** In place of trials: so many times how long a merge waits after the kill -9 of its worker, with the default lock. */
    recovery: { type: 'string' },
  },
});
// All that was started ends with this process, which a signal alone would not see to.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const say = (line: string) => process.stdout.write(`${line}\n`);

async function runTrials(first: number, count: number): Promise<void> {
  const stages = new Map<StoreKind, Stage>();
  try {
    for (let seed = first; seed < first + count; seed++) {
      const schedule = scheduleOf(seed);
      const { store, requests, faults } = schedule;
      const stage = stages.get(store) ?? (await openStage(store, Number(values.lock)));
      stages.set(store, stage);
      const what = `seed ${seed} ${store} merges ${requests.join(',')} ${faults.map(describeFault).join(' ')}`;
      const started = performance.now();
      try {
        const { failed, recoverySeconds } = await runTrial(stage, schedule);
        const seconds = ((performance.now() - started) / 1000).toFixed(1);
        say(`ok     ${what} | recovered in ${recoverySeconds.toFixed(1)} s of ${seconds} s ${failed.join(' ')}`);
      } catch (error) {
        say(`FAILED ${what}`);
        for (const worker of [stage.cluster.apiProcess, ...stage.cluster.workers]) {
          say(`--- process ${worker.pid}\n${worker.lines.slice(-30).join('\n')}`);
        }
        throw error;
      }
    }
  } finally {
    for (const { cluster } of stages.values()) await cluster.close();
  }
}

if (values.recovery !== undefined) await measureRecovery(Number(values.recovery), say);
else await runTrials(Number(values.seed), Number(values.trials));
