/**
 * `npm run load`: clients that poll, upload and download while merges run. Prints what they met, and exits with 1 if there
 * was an error, if the 99th percentile of a status was 100 ms or more, or if memory grew. With Redis at hand merges run
 * in worker processes, one for each that is to run at once; without, in the API process, one after another.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { privateRedis } from '../../test/helpers/redis.js';
import { startApi, startWorker } from '../../test/helpers/service-process.js';
import { transformerTensors, writeModelFiles } from '../model-files.js';
import type { Tally } from './client.js';
import { keepMerging } from './merges.js';
import { readSettings } from './settings.js';
import { eventLoop, memoryTrend, percentile, watchProcess } from './watch.js';

const MAX_P99_MS = 100;
/** Growth from the first to the last third that is no noise of garbage collection. */
const MAX_GROWTH_BYTES = 48 * 2 ** 20;
const TASKS = 4;

const settings = readSettings(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'emr-load-'));
const redis = await privateRedis();
const isDistributed = !('skip' in redis);
const env = {
  EMR_DATA_DIR: join(folder, 'data'),
  EMR_FILE_ROOTS: join(folder, 'models'),
  ...(isDistributed ? { REDIS_URL: redis.url, EMR_THREADS: '1' } : {}),
};
const api = await startApi({ ...env, EMR_THREADS: String(cpus().length) });
const startOne = () => startWorker(env, { behind: true }); // as docs/operations.md has it for one machine
const workers = isDistributed ? await Promise.all(Array.from({ length: settings.merges }, startOne)) : [];
let passed = false;
try {
  passed = await load();
} finally {
  await Promise.all([api, ...workers].map((one) => one.stop()));
  if (isDistributed) await redis.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = passed ? 0 : 1;

async function load(): Promise<boolean> {
  const width = 256;
  const layers = Math.max(1, Math.round(settings.modelBytes / (4 * 12 * width * width)));
  const modelFileBytes = writeModelFiles(join(folder, 'models'), transformerTensors(layers, width), TASKS);
  const merging = await keepMerging(api.url, join(folder, 'models'), TASKS, settings.merges);
  const model = `/v1/merges/${merging.first}/tasks/task-1/model.safetensors`;

  const data = { ...settings, url: api.url, model, modelFileBytes };
  const watch = watchProcess(api.pid);
  const loadBefore = loadavg()[0]!;
  const polling = new Worker(new URL('./pollers.js', import.meta.url), { workerData: data });
  const feeding = setInterval(() => polling.postMessage(merging.current()), 200);
  polling.postMessage(merging.current());
  const transferring = new Worker(new URL('./transfers.js', import.meta.url), { workerData: data });
  const [{ status: polls, bare }, { uploads, downloads }] = await Promise.all([
    result<{ status: Tally; bare: Tally }>(polling),
    result<{ uploads: Tally; downloads: Tally }>(transferring),
  ]);
  clearInterval(feeding);
  const samples = watch.stop();
  const lag = await eventLoop(api.url);
  const merges = await merging.stop();

  const tallies = { status: polls, bare, uploads, downloads, merges: merges.tally };
  const memory = memoryTrend(samples);
  const p99 = percentile(polls.latencies, 99);
  const errors = Object.values(tallies).flatMap((tally) => tally.errors);
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const ms = (value: number) => `${value.toFixed(1)} ms`;
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(
    `${settings.seconds} s, ${cpus().length} cores, Node ${process.version}, ` +
      `${isDistributed ? `${workers.length} workers` : 'embedded'}; load average ${loadBefore.toFixed(1)} before, ` +
      `${samples.at(-1)?.load.toFixed(1)} at the end`,
  );
  for (const [name, { done, refused, errors: failed, bytes }] of Object.entries(tallies)) {
    const rate = `${mib(bytes / settings.seconds)}/s`;
    say(`${name.padEnd(10)} ${done} done, ${refused} asked to come again, ${failed.length} errors, ${rate}`);
  }
  for (const [name, { latencies }] of Object.entries({ status: polls, bare })) {
    const [p50, worst] = [percentile(latencies, 50), Math.max(...latencies)];
    say(`${name.padEnd(10)} p50 ${ms(p50)}, p99 ${ms(percentile(latencies, 99))}, max ${ms(worst)}`);
  }
  say(`event loop p50 ${ms(1000 * lag.p50!)}, p99 ${ms(1000 * lag.p99!)}, max ${ms(1000 * lag.max!)}`);
  say(`memory     ${mib(memory.start)}, ${mib(memory.middle)}, ${mib(memory.end)}; peak ${mib(memory.peak)}`);
  say(`merges     ${merges.ended} ended, ${merges.running} still running`);
  for (const error of errors.slice(0, 10)) say(`error      ${error}`);

  const verdicts = {
    'no error': errors.length === 0 && polls.done > 0,
    [`p99 of a status below ${MAX_P99_MS} ms`]: p99 < MAX_P99_MS,
    [`memory grew by less than ${mib(MAX_GROWTH_BYTES)}`]: memory.end - memory.start < MAX_GROWTH_BYTES,
  };
  for (const [name, holds] of Object.entries(verdicts)) say(`${holds ? 'ok  ' : 'FAIL'}       ${name}`);
  return Object.values(verdicts).every(Boolean);
}

function result<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', resolve);
  });
}
