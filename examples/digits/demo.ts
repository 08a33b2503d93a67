import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';
import { type Client, createClient, type MergeRequest } from './client.js';
import { evaluateTask } from './evaluate.js';
import { CHECKPOINTS } from './places.js';
import { CAVEATS, formatTable, type Row } from './table.js';
import { TASKS } from './tasks.js';
import { decodeWeights } from './tensor-files.js';

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Uploads the base and the fine-tunes; gives the bytes of both. */
async function uploadAll(client: Client) {
  const base = await client.upload('base', join(CHECKPOINTS, 'base'));
  let bytes = 0;
  for (const { name } of TASKS) bytes += (await client.upload(name, join(CHECKPOINTS, name))).bytes;
  say(`Uploaded the base and ${TASKS.length} fine-tunes of ${base.parameters.toLocaleString('en')} parameters.`);
  return { base: base.bytes, fineTunes: bytes };
}

/** Plans and runs one merge of all tasks behind a progress bar; gives its id and the bytes that it stored. */
async function mergeAll(client: Client, type: string) {
  const tasks = TASKS.map(({ name }) => ({ name, checkpoint: name }));
  const request: MergeRequest = { name: `digits-${type}`, base: 'base', tasks, method: { type } };
  const { tensors, parameters } = await client.plan(request);
  const own = tensors.filter((tensor) => tensor.class === 'task_specific').map(({ name }) => name);
  say(`Merging by ${type}: ${parameters.toLocaleString('en')} parameters; each task keeps its ${own.join(' and ')}.`);
  const bar = new SingleBar({ format: '[{bar}] {percentage} %', barsize: 40, noTTYOutput: true });
  bar.start(100, 0);
  const id = await client.merge(request, (percent) => bar.update(percent)).finally(() => bar.stop());
  const files = await client.files(id);
  // The report says how close the merge came; no reconstruction needs it.
  const needed = files.filter(({ path }) => path !== 'report.json');
  return { id, bytes: needed.reduce((sum, file) => sum + file.bytes, 0) };
}

/** Measures every task's fine-tune and the models that the two merges give for it. */
async function measure(client: Client, averageId: string, emrId: string, signal: AbortSignal): Promise<Row[]> {
  const rows: Row[] = [];
  for (const task of TASKS) {
    signal.throwIfAborted();
    const accuracy = async (file: Uint8Array) => (await evaluateTask(task, decodeWeights(file))).accuracy;
    const fineTune = decodeWeights(await readFile(join(CHECKPOINTS, task.name, 'model.safetensors')));
    const individual = await evaluateTask(task, fineTune);
    rows.push({
      task: task.name,
      images: individual.n,
      individual: individual.accuracy,
      average: await accuracy(await client.taskModel(averageId, task.name)),
      emr: await accuracy(await client.taskModel(emrId, task.name)),
    });
  }
  return rows;
}

async function runDemo(url: string, signal: AbortSignal): Promise<void> {
  const client = createClient(url, signal);
  const uploaded = await uploadAll(client);
  const average = await mergeAll(client, 'average');
  const emr = await mergeAll(client, 'emr');
  say(`\nDownloading ${2 * TASKS.length} reconstructed models and testing them …\n`);
  const rows = await measure(client, average.id, emr.id, signal);
  const stored = { individual: uploaded.fineTunes, average: average.bytes, emr: emr.bytes, base: uploaded.base };
  say(`${formatTable(rows, stored)}\n\n${CAVEATS}`);
}

// All that the server stores lies in this folder, and it goes however this process ends.
const folder = mkdtempSync(join(tmpdir(), 'emr-demo-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stop.abort(new Error(`Stopped by ${signal}`));
    // Closing takes milliseconds; this is for a server that cannot.
    setTimeout(() => process.exit(130), 3000).unref();
  });
}

const started = performance.now();
try {
  const server = await startServer(readConfig({ PORT: '0', EMR_DATA_DIR: folder, LOG_LEVEL: 'warn' }));
  try {
    say(`A server runs at ${server.url}, with its store in a temporary folder.`);
    await runDemo(server.url, stop.signal);
  } finally {
    await server.close();
  }
  say(`\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s; nothing is left behind.`);
} catch (error) {
  console.error(stop.signal.aborted ? (stop.signal.reason as Error).message : error);
  process.exitCode = stop.signal.aborted ? 130 : 1;
}
