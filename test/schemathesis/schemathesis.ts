/** Schemathesis against a server of its own: requests made from openapi.yaml, and every answer held against it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiClient } from '../helpers/api-client.js';
import { digitsFolder } from '../helpers/digits.js';
import { startApi } from '../helpers/service-process.js';
import { temporaryFolder } from '../helpers/temporary.js';

const CONFIG = fileURLToPath(new URL('../../../test/schemathesis/schemathesis.toml', import.meta.url));

/** openapi.yaml says that a key is needed: so the server has one, and it is tried without. */
const KEY = 'a-key-for-schemathesis';

export interface Run {
  readonly python: string;
  /** Time for requests, after the schema has been read. */
  readonly seconds: number;
  readonly seed: number;
}

export interface Outcome {
  readonly code: number | null;
  /** What Schemathesis says: failures with the commands that show them again. */
  readonly text: string;
  /** What the server logged: nothing, unless it failed. */
  readonly log: readonly string[];
}

export async function runSchemathesis({ python, seconds, seed }: Run): Promise<Outcome> {
  const folder = temporaryFolder('emr-schemathesis-');
  const env = { EMR_DATA_DIR: join(folder, 'data'), LOG_LEVEL: 'error' };
  const open = await startApi(env);
  await fill(open.url).finally(() => open.stop());
  const server = await startApi({ ...env, EMR_API_KEYS: KEY });
  try {
    const started = server.lines.length;
    const options = [
      '--header',
      `Authorization: Bearer ${KEY}`,
      '--max-time',
      `${seconds}`,
      '--seed',
      `${seed}`,
      '--request-timeout',
      '20',
      '--no-color',
    ];
    const command = ['--config-file', CONFIG, 'run', `${server.url}/openapi.yaml`, ...options, '--continue-on-failure'];
    // Its own folder, since it keeps what it found for the next run.
    const child = spawn(join(dirname(python), 'st'), command, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
    return { code, text, log: server.lines.slice(started) };
  } finally {
    await server.stop();
  }
}

/** Something to find: three checkpoints and a merge that has succeeded. */
async function fill(url: string): Promise<void> {
  const api = apiClient(url);
  for (const name of ['base', 'mnist', 'fashion']) await api.upload(name, Object.entries(await digitsFolder(name)));
  const tasks = ['mnist', 'fashion'].map((name) => ({ name, checkpoint: name }));
  const { id } = await api.post<{ id: string }>('/v1/merges', {
    name: 'digits',
    base: 'base',
    tasks,
    exclude: ['head.*'],
  });
  await api.ended(id);
}
