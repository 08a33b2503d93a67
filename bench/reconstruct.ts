import { execFileSync, spawnSync } from 'node:child_process';
import { get } from 'node:http';
import type { Service } from './service.js';
import { medianOf, printTable } from './table.js';

const RUNS = 9;

interface Transfer {
  readonly bytesPerSecond: number;
  readonly firstByteMs: number;
}

type Client = (url: string) => Promise<Transfer> | Transfer;

/**
 * A reconstruction against a stored file of the same size, sent by the same server over loopback to the same client,
 * which throws the bytes away; rounds alternate. Server and client share the cores, so that the faster the client, the
 * more a reconstruction shows what it costs beyond sending.
 */
export async function benchReconstruct(service: Service, merge: string): Promise<void> {
  const clients: [string, Client][] = [['node:http', transfer]];
  if (spawnSync('curl', ['--version']).status === 0) clients.push(['curl', curl]);
  for (const [name, client] of clients) {
    const stored: Transfer[] = [];
    const rebuilt: Transfer[] = [];
    for (let run = 0; run < RUNS; run++) {
      stored.push(await client(`${service.url}/v1/merges/${merge}/files/unified.safetensors`));
      rebuilt.push(await client(`${service.url}/v1/merges/${merge}/tasks/t${1 + (run % 8)}/model.safetensors`));
    }
    const rate = (transfers: Transfer[]) => medianOf(transfers.map((one) => one.bytesPerSecond));
    const first = (transfers: Transfer[]) => medianOf(transfers.map((one) => one.firstByteMs));
    const row = (label: string, transfers: Transfer[]) => [
      label,
      `${(rate(transfers) / 1e9).toFixed(2)} GB/s`,
      (rate(transfers) / rate(stored)).toFixed(2),
      `first byte ${first(transfers).toFixed(1)} ms`,
      `(the first time ${transfers[0]!.firstByteMs.toFixed(1)} ms)`,
    ];
    printTable(`Download over loopback, client ${name}`, [
      row('stored file (unified.safetensors)', stored),
      row("a task's model, reconstructed", rebuilt),
    ]);
  }
}

function curl(url: string): Transfer {
  const format = '%{speed_download} %{time_starttransfer}';
  const out = execFileSync('curl', ['-sf', '-o', '/dev/null', '-w', format, url], { encoding: 'utf8' });
  const [bytesPerSecond = 0, firstByte = 0] = out.split(' ').map(Number);
  return { bytesPerSecond, firstByteMs: firstByte * 1000 };
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
