import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PUT_MEGABYTES, PUT_MEMORY_GROWTH, putMemoryGrowth } from '../../helpers/put-memory.js';

test(`put of ${PUT_MEGABYTES} MB into a file store takes no more memory than of 64 MB`, async () => {
  const root = await mkdtemp(join(tmpdir(), 'emr-memory-'));
  try {
    const growth = await putMemoryGrowth(`file:${root}`);
    assert.ok(growth < PUT_MEMORY_GROWTH, `peak memory grew by ${growth} bytes`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
