import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { openStore } from '../../src/store/open.js';
import { ensureVersitygw, type Skip } from './versitygw.js';

export { ensureVersitygw, type Skip } from './versitygw.js';

export interface TestBucket {
  readonly name: string;
  /** Deletes the bucket with all that is in it. */
  remove(): Promise<void>;
}

export interface S3Server {
  readonly endpoint: string;
  /** Credentials as the SDK reads them: for child processes; this process has them set already. */
  readonly env: Readonly<Record<string, string>>;
  readonly client: S3Client;
  createBucket(): Promise<TestBucket>;
  /** Ends the server, if it was started here. */
  stop(): Promise<void>;
}

const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test-secret', AWS_REGION: 'us-east-1' };
const START_TRIES = 5;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

/** True once the server answers anything at all; false if its process ended first (the port was taken, say). */
async function answers(endpoint: string, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    try {
      await (await fetch(endpoint)).arrayBuffer();
      return true;
    } catch {
      await pause(25);
    }
  }
  return false;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL'); // its data is thrown away; a polite end would wait for open connections
  await ended;
}

async function start(binary: string, folder: string): Promise<{ endpoint: string; child: ChildProcess }> {
  for (let attempt = 1; attempt <= START_TRIES; attempt++) {
    const address = `127.0.0.1:${await freePort()}`;
    const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = CREDENTIALS;
    const options = ['--access', access, '--secret', secret, '--port', address, '--quiet', '--keep-alive'];
    const child = spawn(binary, [...options, 'posix', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
    const endpoint = `http://${address}`;
    if (await answers(endpoint, child)) return { endpoint, child };
  }
  throw new Error('versitygw does not start');
}

function serverAt(endpoint: string, env: Record<string, string>, stop: () => Promise<void>): S3Server {
  const client = new S3Client({ endpoint, forcePathStyle: true, region: env.AWS_REGION ?? 'us-east-1' });
  return {
    endpoint,
    env,
    client,
    async createBucket() {
      const name = `emr-${randomUUID()}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return {
        name,
        async remove() {
          const store = await openStore({ kind: 's3', bucket: name, prefix: '', endpoint });
          for await (const page of store.list('', { delimiter: true })) {
            for (const prefix of page.prefixes) await store.deletePrefix(prefix);
            for (const object of page.objects) await store.delete(object.key);
          }
          await store.close();
          await client.send(new DeleteBucketCommand({ Bucket: name }));
        },
      };
    },
    async stop() {
      client.destroy();
      await stop();
    },
  };
}

/**
 * A real S3 server for the tests of this process: the one at S3_TEST_ENDPOINT (credentials in AWS_*), or a versitygw
 * of its own. `skip` says what is missing; with CI=true that is an error.
 */
export async function s3Server(): Promise<S3Server | Skip> {
  const given = process.env.S3_TEST_ENDPOINT;
  if (given) {
    const names = Object.keys(CREDENTIALS).filter((name) => process.env[name] !== undefined);
    return serverAt(given, Object.fromEntries(names.map((name) => [name, process.env[name] ?? ''])), async () => {});
  }
  const binary = await ensureVersitygw();
  if (typeof binary !== 'string') {
    if (process.env.CI === 'true') throw new Error(`missing: ${binary.skip}`);
    return binary;
  }
  const folder = await mkdtemp(join(tmpdir(), 'emr-s3-'));
  const { endpoint, child } = await start(binary, folder);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill); // also when a test throws past its clean-up
  Object.assign(process.env, CREDENTIALS);
  return serverAt(endpoint, CREDENTIALS, async () => {
    process.removeListener('exit', kill);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  });
}
