/** docs/operations.md, "Backup and moving": the store is everything, so a copy of it serves the same models. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createClient } from '../../examples/digits/client.js';
import { CHECKPOINTS } from '../../examples/digits/places.js';
import { readConfig } from '../../src/config.js';
import { startServer } from '../../src/server.js';

test('a copied data folder gives the same bytes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'emr-backup-'));
  const { signal } = new AbortController();
  const start = (data: string) =>
    startServer(readConfig({ PORT: '0', EMR_DATA_DIR: join(folder, data), LOG_LEVEL: 'silent' }));
  try {
    const first = await start('first');
    const client = createClient(first.url, signal);
    for (const name of ['base', 'mnist', 'fashion']) await client.upload(name, join(CHECKPOINTS, name));
    const tasks = ['mnist', 'fashion'].map((name) => ({ name, checkpoint: name }));
    const id = await client.merge({ name: 'two', base: 'base', tasks, method: { type: 'emr' } }, () => {});
    const model = await client.taskModel(id, 'mnist');
    await first.close();

    // New files with new times: nothing but the bytes is the same.
    await cp(join(folder, 'first'), join(folder, 'second'), { recursive: true });
    const second = await start('second');
    try {
      assert.deepEqual(await createClient(second.url, signal).taskModel(id, 'mnist'), model);
    } finally {
      await second.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
