/** The server's peak memory does not grow with the checkpoints: upload, merge and download, each on its own. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { apiClient } from '../helpers/api-client.js';
import { drain, largeCheckpoint, postLarge, putLarge } from '../helpers/large-checkpoint.js';
import { s3Server } from '../helpers/s3-server.js';
import { type ApiProcess, type ServiceEnvironment, startApi } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';

const MB = 2 ** 20;
const SIZES = [64 * MB, 256 * MB];
const TASKS = [1, 2, 3, 4];
/** Of the whole process, whatever it does. */
const LIMIT = 600e6;
/** The SDK, and its buffers until they are collected, in the server and in each thread. */
const S3_LIMIT = 700e6;
/** What four times larger checkpoints may cost: a tenth, and what the garbage collector leaves to chance. */
const GROWTH = 1.1;
const CHANCE = 24 * MB;
/**
 * Over S3 more waits for a collection, in the server and in each of its threads. Still far below what the inputs grow by
 * (960 MB), and below one checkpoint's growth (192 MB): whatever is held whole shows.
 */
const S3_CHANCE = 128 * MB;
const PHASES = ['PUT', 'multipart', 'merge', 'download', 'survey'] as const;
type Peaks = Record<(typeof PHASES)[number], number>;

const folder = temporaryFolder('emr-memory-');

/** The peak resident memory of a process while `work` ran: Linux forgets the earlier peak when it is told 5. */
async function peakDuring(pid: number, work: () => Promise<unknown>): Promise<number> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  await work();
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

async function measure({ url, pid }: ApiProcess, size: number): Promise<Peaks> {
  const api = apiClient(url);
  const put = await peakDuring(pid, async () => {
    for (const t of [0, 1, 2]) await putLarge(url, `c${t}`, largeCheckpoint(size, t));
  });
  const multipart = await peakDuring(pid, async () => {
    for (const t of [3, 4]) await postLarge(url, `c${t}`, largeCheckpoint(size, t));
  });
  const tasks = TASKS.map((t) => ({ name: `t${t}`, checkpoint: `c${t}` }));
  const { id } = await api.post<{ id: string }>('/v1/merges', { base: 'c0', tasks });
  const merge = await peakDuring(pid, () => api.ended(id));
  const download = await peakDuring(pid, async () => {
    assert.ok((await drain(`${url}/v1/merges/${id}/files/unified.safetensors`)) > size);
    assert.ok((await drain(`${url}/v1/merges/${id}/tasks/t2/model.safetensors`)) > size);
  });
  const survey = await peakDuring(pid, async () => {
    const method = { type: 'ties' };
    const { id } = await api.post<{ id: string }>('/v1/merges', { base: 'c0', tasks: tasks.slice(0, 2), method });
    await api.ended(id);
  });
  return { PUT: put, multipart, merge, download, survey };
}

const skip =
  process.platform === 'linux' || process.env.CI === 'true'
    ? false
    : 'peak memory is read from /proc: run the tests on Linux';

/** Peaks for each size, each on a server of its own. */
async function measureSizes(env: (size: number) => ServiceEnvironment): Promise<readonly [Peaks, Peaks]> {
  const found: Peaks[] = [];
  for (const size of SIZES) {
    const server = await startApi({ EMR_THREADS: '2', ...env(size) });
    try {
      found.push(await measure(server, size));
    } finally {
      await server.stop();
    }
  }
  return found as [Peaks, Peaks];
}

function requireFlat(
  [small, large]: readonly [Peaks, Peaks],
  { limit, chance }: { limit: number; chance: number },
  tell: (text: string) => void,
): void {
  for (const phase of PHASES) {
    const text = `${phase}: ${Math.round(small[phase] / MB)} MiB, then ${Math.round(large[phase] / MB)} MiB`;
    tell(text);
    assert.ok(large[phase] <= GROWTH * small[phase] + chance, text);
    assert.ok(large[phase] < limit, text);
  }
}

test('over a folder, four times larger checkpoints take no more memory, and less than 600 MB', { skip }, async (t) => {
  const peaks = await measureSizes((size) => ({ EMR_DATA_DIR: join(folder, String(size)) }));
  requireFlat(peaks, { limit: LIMIT, chance: CHANCE }, (text) => t.diagnostic(text));
});

test('over S3, four times larger checkpoints take no more memory', { skip }, async (t) => {
  const s3 = await s3Server();
  if ('skip' in s3) return t.skip(s3.skip);
  const bucket = await s3.createBucket();
  try {
    const peaks = await measureSizes((size) => ({
      ...s3.env,
      EMR_STORE: `s3://${bucket.name}/${size}`,
      S3_ENDPOINT: s3.endpoint,
    }));
    // Reads and parts of megabytes, several in flight, hide the latency of S3.
    requireFlat(peaks, { limit: S3_LIMIT, chance: S3_CHANCE }, (text) => t.diagnostic(text));
  } finally {
    await bucket.remove();
    await s3.stop();
  }
});
