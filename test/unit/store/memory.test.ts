import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const child = fileURLToPath(new URL('../../helpers/rss-put.js', import.meta.url));
const MEGABYTES = 300;
/** What the garbage collector may take before it looks; a store that kept the object would take six times as much. */
const GROWTH = 50e6;

test(`put of ${MEGABYTES} MB into a file store takes no more memory than of 64 MB`, async () => {
  const root = await mkdtemp(join(tmpdir(), 'emr-memory-'));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [child, `file:${root}`, String(MEGABYTES)]);
    assert.ok(Number(stdout) < GROWTH, `peak memory grew by ${stdout.trim()} bytes`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
