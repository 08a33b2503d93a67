/** A Python with numpy, safetensors and Schemathesis for tests, in a virtual environment of this repository's own. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const execute = promisify(execFile);

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(ROOT, '.cache');
const HOME = join(CACHE, 'python');
const LOCK = join(CACHE, 'python.lock');
const REQUIREMENTS = join(ROOT, 'test/helpers/python-requirements.txt');
/** Holds the requirements that the environment was made for; written last. */
const READY = join(HOME, 'ready.txt');
const PYTHON = join(HOME, 'bin/python');

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends python3 python3-venv';

/** An installation takes seconds to a minute; a lock older than this was left by a process that was killed. */
const STALE_LOCK_MS = 300_000;

/** The interpreter to run, or why there is none. In CI that is an error. */
export async function python(): Promise<{ readonly path: string } | { readonly skip: string }> {
  const requirements = await readFile(REQUIREMENTS, 'utf8');
  if (await isReady(requirements)) return { path: PYTHON };
  if (!(await runs('python3', ['-c', 'import venv, ensurepip']))) {
    return missing(`no python3 with venv here; to bring it: ${INSTALL}`);
  }
  await lock();
  try {
    if (!(await isReady(requirements))) {
      await rm(HOME, { recursive: true, force: true });
      await execute('python3', ['-m', 'venv', HOME]);
      await execute(PYTHON, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS]);
      await writeFile(READY, requirements);
    }
  } catch (error) {
    const command = `python3 -m venv ${HOME} && ${PYTHON} -m pip install -r ${REQUIREMENTS}`;
    return missing(`the Python packages did not install (${String(error).slice(0, 300)}); to try again: ${command}`);
  } finally {
    await rm(LOCK, { recursive: true, force: true });
  }
  return { path: PYTHON };
}

/** Runs a script with arguments and returns what it prints. */
export async function runPython(path: string, script: string, args: readonly string[] = []): Promise<string> {
  const { stdout } = await execute(path, ['-c', script, ...args], { maxBuffer: 64 * 2 ** 20 });
  return stdout;
}

async function isReady(requirements: string): Promise<boolean> {
  const made = await readFile(READY, 'utf8').catch(() => undefined);
  return made === requirements && (await runs(PYTHON, ['-c', 'import numpy, safetensors, schemathesis']));
}

async function runs(program: string, args: string[]): Promise<boolean> {
  return execute(program, args).then(
    () => true,
    () => false,
  );
}

/** Test files run side by side in processes of their own; making a directory is what only one of them can do. */
async function lock(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  while (!(await made(LOCK))) {
    const since = await stat(LOCK).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - since > STALE_LOCK_MS) await rm(LOCK, { recursive: true, force: true });
    await sleep(100);
  }
}

async function made(directory: string): Promise<boolean> {
  try {
    await mkdir(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function missing(skip: string): { readonly skip: string } {
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}
