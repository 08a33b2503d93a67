/** A real Redis for tests: the one of REDIS_URL, or one that is started here and ended with the tests. */
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';

export interface RedisServer {
  readonly url: string;
  /** undefined: the server of REDIS_URL, which is not ours to stop. */
  readonly pid: number | undefined;
  readonly port: number;
  /** A prefix that nobody else uses, and the removal of all keys under it. */
  freshPrefix(): { readonly prefix: string; clean(): Promise<void> };
  /** Ends it as a crash does: at once, with all that it held. */
  stop(): Promise<void>;
}

const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends redis-server';

/** The server to test with, or why there is none. In CI that is an error. */
export async function redisServer(): Promise<RedisServer | { readonly skip: string }> {
  const url = process.env.REDIS_URL;
  if (url) return { url, pid: undefined, port: Number(new URL(url).port || 6379), ...tools(url), stop: async () => {} };
  return privateRedis();
}

export interface PrivateRedisOptions {
  /** To bring a server back where it was. */
  readonly port?: number;
  /** Where what it holds is kept, and found again by the next; without one it holds nothing beyond its end. */
  readonly folder?: string;
}

/** A server of one's own, to stop and start at will. */
export async function privateRedis(
  options: PrivateRedisOptions = {},
): Promise<RedisServer | { readonly skip: string }> {
  if (isInstalled() || install()) return start(options);
  const skip = `no redis-server here; to bring it: ${INSTALL}`;
  if (process.env.CI === 'true') throw new Error(skip);
  return { skip };
}

function isInstalled(): boolean {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Under a lock, since test files run side by side. Runlevel 1 keeps the package from starting a service. */
function install(): boolean {
  if (process.getuid?.() !== 0) return false;
  const script = `command -v redis-server || { ${INSTALL}; }`;
  try {
    execFileSync('flock', [join(tmpdir(), 'emr-merge-apt.lock'), 'sh', '-c', script], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
  } catch {
    return false;
  }
  return isInstalled();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function start({ port: given, folder }: PrivateRedisOptions): Promise<RedisServer> {
  const port = given ?? (await freePort());
  const dir = folder ?? (await mkdtemp(join(tmpdir(), 'emr-redis-')));
  const durable = folder === undefined ? { appendonly: 'no' } : { appendonly: 'yes', appendfsync: 'always' };
  const settings = { port, bind: '127.0.0.1', save: '', ...durable, dir, 'maxmemory-policy': 'noeviction' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit');
  let ready = false;
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    ready = line.includes('Ready to accept connections');
    if (ready) break;
  }
  if (!ready) throw new Error(`redis-server did not start:\n${lines.join('\n')}`);
  child.stdout.resume();
  const url = `redis://127.0.0.1:${port}`;
  return {
    url,
    pid: child.pid,
    port,
    ...tools(url),
    async stop() {
      kill();
      await exited;
      process.removeListener('exit', kill);
      if (folder === undefined) await rm(dir, { recursive: true, force: true });
    },
  };
}

function tools(url: string): Pick<RedisServer, 'freshPrefix'> {
  return {
    freshPrefix() {
      const prefix = `emr-test-${randomUUID()}`;
      return { prefix, clean: () => removeKeys(url, prefix) };
    },
  };
}

async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
      if (keys.length > 0) await redis.del(...(keys as string[]));
    }
  } finally {
    redis.disconnect();
  }
}
