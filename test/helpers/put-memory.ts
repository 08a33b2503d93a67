import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const child = fileURLToPath(new URL('./put-memory-child.js', import.meta.url));

/** What the garbage collector may let lie before it looks; a store that kept the object would take six times as much. */
export const PUT_MEMORY_GROWTH = 50e6;
export const PUT_MEGABYTES = 300;

/** By how many bytes the peak memory of a process grows when it streams PUT_MEGABYTES into a store after 64 MB. */
export async function putMemoryGrowth(url: string, endpoint?: string): Promise<number> {
  const env = { ...process.env, ...(endpoint ? { S3_TEST_ENDPOINT: endpoint } : {}) };
  const { stdout } = await promisify(execFile)(process.execPath, [child, url, String(PUT_MEGABYTES)], { env });
  return Number(stdout);
}
