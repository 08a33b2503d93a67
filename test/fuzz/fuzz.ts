/** Hostile requests against a server of its own: it must answer all of them, and be as small afterwards as before. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { apiClient } from '../helpers/api-client.js';
import { f32, safetensorsFile } from '../helpers/safetensors-file.js';
import { startApi } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { sender } from './send.js';
import { TARGETS } from './targets.js';

export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** Only this target. */
  readonly target?: string | undefined;
}

export interface FuzzReport {
  readonly cases: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Of the server, most at any time; undefined where there is no /proc. */
  readonly peakBytes: number | undefined;
  readonly requests: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** A failing case each, with what to run to see it again. */
  readonly failures: readonly string[];
  /** What the server logged as an error. */
  readonly log: readonly string[];
}

export async function fuzz({ cases, seed, target }: FuzzOptions): Promise<FuzzReport> {
  const folder = temporaryFolder('emr-fuzz-');
  const server = await startApi({ EMR_DATA_DIR: join(folder, 'data'), EMR_THREADS: '1', LOG_LEVEL: 'error' });
  const { send, close } = sender(server.url);
  const statuses: Record<string, number> = {};
  let requests = 0;
  const counted: typeof send = async (sent) => {
    requests += 1;
    const answer = await send(sent);
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
    return answer;
  };
  try {
    await fill(server.url);
    const listening = server.lines.length;
    const chosen = TARGETS.filter(({ name }) => target === undefined || name === target);
    const share = chosen.reduce((sum, one) => sum + one.share, 0);
    const done: Record<string, number> = {};
    const failures: string[] = [];
    const started = performance.now();
    await Promise.all(
      chosen.map(async (one) => {
        const numRuns = Math.ceil((cases * one.share) / share);
        const result = await fc.check(one.property(counted), { numRuns, seed, endOnFailure: true });
        done[one.name] = result.numRuns;
        if (result.failed) failures.push(`--target ${one.name} --cases ${cases} --seed ${seed}: ${described(result)}`);
      }),
    );
    const alive = await fetch(`${server.url}/readyz`);
    if (alive.status !== 200) failures.push(`/readyz answers ${alive.status}`);
    return {
      cases: done,
      seconds: (performance.now() - started) / 1000,
      peakBytes: await peakOf(server.pid),
      requests,
      statuses,
      failures,
      log: server.lines.slice(listening),
    };
  } finally {
    close();
    await server.stop();
  }
}

/** Small checkpoints, and a merge of them that has succeeded. */
async function fill(url: string): Promise<void> {
  const api = apiClient(url);
  const folder = (scale: number) => [
    ['config.json', Buffer.from('{}')] as const,
    [
      'model.safetensors',
      safetensorsFile([
        f32(
          'w',
          [1, 2, 3].map((value) => value * scale),
        ),
        f32('x.a', [scale]),
      ]),
    ] as const,
  ];
  await api.upload('base', folder(1));
  await api.upload('tuned', folder(1.5));
  const { id } = await api.post<{ id: string }>('/v1/merges', {
    name: 'done',
    base: 'base',
    tasks: [{ name: 't', checkpoint: 'tuned' }],
  });
  await api.ended(id);
}

async function peakOf(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB/m.exec(status) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** Bytes of a case are shown by running it again; the beginning tells what it is. */
function described({ counterexample, errorInstance }: fc.RunDetails<unknown>): string {
  return `${String(errorInstance)} for ${JSON.stringify(counterexample).slice(0, 400)}`;
}
