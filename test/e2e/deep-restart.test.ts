/** An embedded server that is stopped or killed in the middle of a merge takes it up again when it starts. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { apiClient } from '../helpers/api-client.js';
import { largeCheckpoint, putLarge } from '../helpers/large-checkpoint.js';
import { startApi } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const folder = temporaryFolder('emr-restart-');
/** With the reference engine and one thread, seconds of work. */
const BYTES = 32 * 2 ** 20;
const TASKS = [1, 2, 3];

async function filesBelow(data: string): Promise<string[]> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a merge that ${signal} interrupts is done after the restart, and nothing else is left of it`, async () => {
    const data = join(folder, signal);
    const env = { EMR_DATA_DIR: data, EMR_THREADS: '1', EMR_SAVE_SECONDS: signal === 'SIGTERM' ? '3600' : '0' };
    const first = await startApi(env);
    let id: string;
    try {
      for (const t of [0, ...TASKS]) await putLarge(first.url, `c${t}`, largeCheckpoint(BYTES, t));
      const tasks = TASKS.map((t) => ({ name: `t${t}`, checkpoint: `c${t}` }));
      const api = apiClient(first.url);
      ({ id } = await api.post<{ id: string }>('/v1/merges', { base: 'c0', tasks, engine: 'scalar' }));
      await until('the merge runs', async () => {
        await pause(20);
        const { state, progress } = await api.merge(id);
        assert.ok(state === 'queued' || state === 'running', `${state} before it could be interrupted`);
        return (progress?.bytes_done ?? 0) > 0;
      });
    } finally {
      assert.equal(await first.stop(signal), signal === 'SIGTERM' ? 0 : null, first.lines.join('\n'));
    }
    if (signal === 'SIGTERM') {
      const left = (await filesBelow(data)).filter((path) => path.includes(`merges/${id}/`));
      assert.deepEqual(left, [join(data, `default/merges/${id}/request.json`)], 'handed back, with nothing left');
    }

    const second = await startApi(env);
    try {
      const api = apiClient(second.url);
      await api.ended(id);
      const files = await api.files(id);
      // What the dead attempt left goes after the fact that tells of the end.
      const attempts = join(data, `default/merges/${id}/a`);
      await until('one attempt is left', async () => (await readdir(attempts)).length === 1);
      const left = (await filesBelow(data)).filter((path) => path.includes(`merges/${id}/a/`));
      assert.deepEqual(left.map((path) => path.split('/a/')[1]!.split('/').slice(1).join('/')).sort(), [
        ...files.map(({ path }) => path).sort(),
      ]);
      const temporary = (await filesBelow(data)).filter((path) => path.includes('.tmp'));
      assert.deepEqual(temporary, []);
    } finally {
      await second.stop();
    }
  });
}
