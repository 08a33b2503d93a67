import { get } from 'node:http';
import type { Service } from './service.js';
import { medianOf, printTable } from './table.js';

const RUNS = 9;

interface Transfer {
  readonly bytesPerSecond: number;
  readonly firstByteMs: number;
}

/**
 * A reconstruction against a stored file of the same size, sent by the same server over loopback to the same client,
 * which throws the bytes away. Rounds alternate.
 */
export async function benchReconstruct(service: Service, merge: string): Promise<void> {
  const stored = `${service.url}/v1/merges/${merge}/files/unified.safetensors`;
  const rebuilt = (task: number) => `${service.url}/v1/merges/${merge}/tasks/t${task}/model.safetensors`;
  const runs = { stored: [] as Transfer[], rebuilt: [] as Transfer[] };
  for (let run = 0; run < RUNS; run++) {
    runs.stored.push(await transfer(stored));
    runs.rebuilt.push(await transfer(rebuilt(1 + (run % 8))));
  }
  const rate = (transfers: Transfer[]) => medianOf(transfers.map((one) => one.bytesPerSecond));
  const first = (transfers: Transfer[]) => medianOf(transfers.map((one) => one.firstByteMs));
  const row = (name: string, transfers: Transfer[]) => [
    name,
    `${(rate(transfers) / 1e9).toFixed(2)} GB/s`,
    (rate(transfers) / rate(runs.stored)).toFixed(2),
    `first byte ${first(transfers).toFixed(1)} ms`,
    `(first time: ${transfers[0]!.firstByteMs.toFixed(1)} ms)`,
  ];
  printTable('Download over loopback', [
    row('stored file (unified.safetensors)', runs.stored),
    row("a task's model, reconstructed", runs.rebuilt),
  ]);
}

function transfer(url: string): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    get(url, (response) => {
      let bytes = 0;
      let first = 0;
      response.on('data', (chunk: Buffer) => {
        if (bytes === 0) first = performance.now();
        bytes += chunk.byteLength;
      });
      response.on('error', reject);
      response.on('end', () => {
        const elapsed = (performance.now() - start) / 1000;
        if (response.statusCode !== 200) return reject(new Error(`${url}: ${response.statusCode}`));
        resolve({ bytesPerSecond: bytes / elapsed, firstByteMs: first - start });
      });
    }).on('error', reject);
  });
}
