import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * An S3 server of one binary over a folder (Apache-2.0), from the Go module proxy. Not older: of writers racing with
 * If-None-Match, 1.7 lets several win (versity/versitygw pull request 2288).
 */
const VERSION = 'v1.8.0';
const MODULE = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;
/** Compiling takes two minutes on two cores; a lock older than this was left by a process that died. */
const STALE_LOCK_MS = 15 * 60_000;

const root = fileURLToPath(new URL('../../../', import.meta.url));
const folder = `.cache/versitygw-${VERSION}`;
const bin = join(root, folder);
const binary = join(bin, 'versitygw');
const lock = join(root, '.cache', 'versitygw.lock');

export interface Skip {
  /** What is missing and the command that brings it. */
  readonly skip: string;
}

const HOW = `an S3 server: GOBIN="$PWD/${folder}" go install ${MODULE} (Go from apt-get install golang or go.dev)`;

function goInstall(): Promise<boolean> {
  return new Promise((resolve) => {
    const env = { ...process.env, GOBIN: bin, GOFLAGS: '-mod=mod' };
    const child = spawn('go', ['install', MODULE], { env, cwd: bin, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}

async function takeLock(): Promise<boolean> {
  try {
    await mkdir(lock);
    return true;
  } catch {
    const taken = await stat(lock).catch(() => undefined);
    if (taken && Date.now() - taken.mtimeMs > STALE_LOCK_MS) await rm(lock, { recursive: true, force: true });
    return false;
  }
}

/** The path of the server's binary, compiled at the first call; test files in other processes wait for it. */
export async function ensureVersitygw(): Promise<string | Skip> {
  await mkdir(bin, { recursive: true });
  while (!existsSync(binary)) {
    if (!(await takeLock())) {
      await pause(500);
      continue;
    }
    try {
      if (!existsSync(binary) && !(await goInstall())) return { skip: HOW };
    } finally {
      await rm(lock, { recursive: true, force: true });
    }
  }
  return binary;
}
