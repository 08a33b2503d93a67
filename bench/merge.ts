import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { transformerTensors, writeModelFiles } from './model-files.js';
import { benchReconstruct } from './reconstruct.js';
import { type Service, startService } from './service.js';
import { medianOf, printTable, seconds } from './table.js';

const TASKS = 8;
const RUNS = 5;

interface Merge {
  id: string;
  state: string;
  result?: Result;
}

interface Result {
  seconds: number;
  bytes: number;
}

/**
 * A merge of 8 fine-tunes through the service, against the least that any merge must do: read the same inputs once and
 * write, durably, as many bytes. Inputs are in the page cache. Rounds alternate, so that both see the same machine.
 */
export async function benchMerge(layers: number, withDownloads: boolean): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'emr-bench-'));
  const inputs = path.join(folder, 'in');
  const fileBytes = writeModelFiles(inputs, transformerTensors(layers, 768), TASKS);
  execFileSync('sync'); // else the first merge would wait for the disk to take the inputs
  const service = await startService({ EMR_DATA_DIR: path.join(folder, 'data'), EMR_FILE_ROOTS: inputs });
  try {
    for (const name of readdirSync(inputs)) {
      await service.json('POST', '/v1/checkpoints', { name, source: { uri: `file://${inputs}/${name}` } });
    }
    const idle = service.peakMemory();
    const merges: number[] = [];
    const floors: number[] = [];
    let bytes = 0;
    for (let run = 0; run < RUNS; run++) {
      const { result } = await mergeOnce(service);
      merges.push(result.seconds);
      bytes = result.bytes;
      floors.push(floorSeconds(inputs, folder, bytes));
    }
    const [merge, floor] = [medianOf(merges), medianOf(floors)];
    printTable(
      `Merge of ${TASKS} × ${Math.round(fileBytes / 1e6)} MB F32 (base beside them), ${os.availableParallelism()} cores`,
      [
        ['cat inputs + dd conv=fsync of the same output', `${floor.toFixed(2)} s`, '1.00'],
        ['merge, request accepted to commit record', `${merge.toFixed(2)} s`, (merge / floor).toFixed(2)],
        ['input rate', `${(((TASKS + 1) * fileBytes) / merge / 1e9).toFixed(2)} GB/s`, ''],
        ['output', `${Math.round(bytes / 1e6)} MB`, ''],
        [
          'peak memory of the process',
          `${Math.round(service.peakMemory() / 1e6)} MB`,
          `before: ${Math.round(idle / 1e6)} MB`,
        ],
        ['all runs: merge', merges.map((s) => s.toFixed(2)).join(' '), ''],
        ['all runs: cat + dd', floors.map((s) => s.toFixed(2)).join(' '), ''],
      ],
    );
    if (withDownloads) await benchReconstruct(service, (await mergeOnce(service, false)).id);
  } finally {
    await service.stop();
    rmSync(folder, { recursive: true });
  }
}

async function mergeOnce(service: Service, remove = true): Promise<{ id: string; result: Result }> {
  const tasks = Array.from({ length: TASKS }, (_, i) => ({ name: `t${i + 1}`, checkpoint: `task-${i + 1}` }));
  const { id } = await service.json<Merge>('POST', '/v1/merges', { base: 'base', tasks });
  const events = await fetch(`${service.url}/v1/merges/${id}/events`);
  await events.text(); // ends when the merge has
  const { state, result } = await service.json<Merge>('GET', `/v1/merges/${id}`);
  if (result === undefined) throw new Error(`The merge ended as ${state}.`);
  if (remove) await fetch(`${service.url}/v1/merges/${id}`, { method: 'DELETE' });
  return { id, result };
}

/** `cat` over the inputs to /dev/null, then as many zeros as the merge wrote, written and synced. */
function floorSeconds(inputs: string, folder: string, bytes: number): number {
  const target = path.join(folder, 'floor');
  const script = `cat ${inputs}/*/model.safetensors > /dev/null && dd if=/dev/zero of=${target} bs=1M count=${Math.ceil(bytes / 2 ** 20)} conv=fsync status=none`;
  const elapsed = seconds(() => execFileSync('bash', ['-c', script]));
  rmSync(target);
  return elapsed;
}
