/** What the service makes, held against an independent numpy reference, through HTTP and Python's own safetensors. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readConfig } from '../../src/config.js';
import { type RunningServer, startServer } from '../../src/server.js';
import { type ApiClient, apiClient } from '../helpers/api-client.js';
import { python } from '../helpers/python.js';
import { temporaryFolder } from '../helpers/temporary.js';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const RESCALERS = ['global', 'tensor-mean', 'l2'];
const TASKS = ['task-1', 'task-2', 'task-3'];

const folder = temporaryFolder('emr-python-');
let server: RunningServer;
let api: ApiClient;
let interpreter: string;
let missing: string | undefined;

const interop = async (script: string, ...args: string[]) =>
  (await execute(interpreter, [join(root, script), ...args])).stdout;

before(async () => {
  const found = await python();
  if ('skip' in found) {
    missing = found.skip;
    return;
  }
  interpreter = found.path;
  server = await startServer({
    ...readConfig({ LOG_LEVEL: 'silent', EMR_DATA_DIR: join(folder, 'data') }),
    port: 0,
  });
  api = apiClient(server.url);
  for (const suite of ['plain', 'bfloat']) {
    const checkpoints = join(folder, suite, 'checkpoints');
    await mkdir(checkpoints, { recursive: true });
    await interop(
      'test/interop/make_checkpoints.py',
      checkpoints,
      String(TASKS.length),
      suite === 'bfloat' ? '1' : '0',
    );
    for (const name of await readdir(checkpoints)) {
      const files = await Promise.all(
        (await readdir(join(checkpoints, name))).map(
          async (file) => [file, await readFile(join(checkpoints, name, file))] as const,
        ),
      );
      await (name === 'base' ? api.put : api.upload)(`${suite}-${name}`, files);
    }
  }
});

after(() => server?.close());

/** Merges a suite and downloads every artifact; returns the merge's id. */
async function mergeSuite(suite: string, request: object): Promise<string> {
  const tasks = TASKS.map((name) => ({ name, checkpoint: `${suite}-${name}` }));
  const { id } = await api.post<{ id: string }>('/v1/merges', { base: `${suite}-base`, tasks, ...request });
  await api.ended(id);
  await rm(join(folder, suite, 'artifacts'), { recursive: true, force: true });
  await rm(join(folder, suite, 'models'), { recursive: true, force: true });
  for (const { path } of await api.files(id)) {
    await api.download(`/v1/merges/${id}/files/${path}`, join(folder, suite, 'artifacts', path));
  }
  return id;
}

async function downloadModel(suite: string, id: string, task: string, name: string, query: string): Promise<void> {
  const path = `/v1/merges/${id}/tasks/${task}/model.safetensors${query}`;
  await api.download(path, join(folder, suite, 'models', task, name));
}

async function check(suite: string, settings: object): Promise<{ files: number; elements: number; rescalers: number }> {
  const args = [join(folder, suite), JSON.stringify(settings)];
  return JSON.parse(await interop('test/interop/check_bundle.py', ...args));
}

for (const suite of ['plain', 'bfloat']) {
  for (const zero_sign of ['zero', 'negative']) {
    for (const unified of suite === 'plain' ? ['F32', 'F16'] : ['F32', 'BF16']) {
      test(`EMR equals the reference: ${suite} checkpoints, zero_sign ${zero_sign}, u in ${unified}`, async (t) => {
        if (missing) return t.skip(missing);
        const id = await mergeSuite(suite, { method: { type: 'emr', zero_sign }, dtype: unified });
        let models = 0;
        for (const task of TASKS) {
          for (const scope of ['model', 'tensor']) {
            for (const rescaler of RESCALERS) {
              const dtype = { global: 'BF16', 'tensor-mean': 'F16', l2: 'F32' }[rescaler]!;
              const query = `?rescaler=${rescaler}&scope=${scope}`;
              await downloadModel(suite, id, task, `${rescaler}.${scope}.`, query);
              await downloadModel(suite, id, task, `${rescaler}.${scope}.${dtype}`, `${query}&dtype=${dtype}`);
              models += 2;
            }
          }
          const byDefault = await api.bytes(`/v1/merges/${id}/tasks/${task}/model.safetensors`);
          assert.deepEqual(byDefault, await readFile(join(folder, suite, 'models', task, 'global.model.')));
        }
        const counts = await check(suite, { method: 'emr', zero_sign, unified });
        // u; of each task mask and extras; and the models.
        assert.equal(counts.files, 1 + 2 * TASKS.length + models);
        // Three kinds for the model and for each of seven merged tensors, and two distances.
        assert.equal(counts.rescalers, TASKS.length * (3 + 7 * 3 + 2));
      });
    }
  }

  for (const method of [
    { type: 'average' },
    { type: 'task_arithmetic', lambda: 0.3 },
    { type: 'task_arithmetic', lambda: 1 },
  ]) {
    test(`${JSON.stringify(method)} equals the reference on ${suite} checkpoints`, async (t) => {
      if (missing) return t.skip(missing);
      const id = await mergeSuite(suite, { method });
      for (const task of TASKS) await downloadModel(suite, id, task, '...', '');
      const one = await api.bytes(`/v1/merges/${id}/model.safetensors`);
      assert.deepEqual(one, await readFile(join(folder, suite, 'artifacts', 'model.safetensors')));
      const settings = { method: method.type, lambda: method.lambda, unified: null };
      assert.equal((await check(suite, settings)).files, 1 + 2 * TASKS.length);
    });
  }
}

test('the documented snippet rebuilds every task, bit for bit', async (t) => {
  if (missing) return t.skip(missing);
  const id = await mergeSuite('plain', { method: { type: 'emr' } });
  const base = join(folder, 'plain', 'checkpoints', 'base', 'model.safetensors');
  const out = join(folder, 'rebuilt.safetensors');
  for (const task of TASKS) {
    for (const rescaler of RESCALERS) {
      const args = [base, join(folder, 'plain', 'artifacts'), task, out, rescaler.replace('-', '_')];
      await interop('docs/snippets/rebuild.py', ...args);
      const streamed = await api.bytes(`/v1/merges/${id}/tasks/${task}/model.safetensors?rescaler=${rescaler}`);
      assert.ok(streamed.equals(await readFile(out)), `${task}, ${rescaler}`);
    }
  }
});
