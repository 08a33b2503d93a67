import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  ListBucketsCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
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

const CREDENTIAL_NAMES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION'] as const;
const START_TRIES = 5;
const START_MS = 20_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

/**
 * True once our server answers: another process may have taken the port meanwhile, but its server does not know our
 * secret.
 */
async function answers(endpoint: string, env: Record<string, string>): Promise<boolean> {
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '' };
  const client = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials, maxAttempts: 1 });
  try {
    for (const end = Date.now() + START_MS; Date.now() < end; await pause(25)) {
      try {
        await client.send(new ListBucketsCommand({}));
        return true;
      } catch (error) {
        if (error instanceof S3ServiceException) return false;
      }
    }
    return false;
  } finally {
    client.destroy();
  }
}

// The shell holds our end of a pipe as its standard input: when this process ends, in whatever way, so does the server.
const UNTIL_EOF = '"$@" & server=$!; read -r _; kill -9 "$server"';

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.stdin?.end();
  await ended;
}

async function start(binary: string, folder: string, env: Record<string, string>) {
  const { AWS_ACCESS_KEY_ID: access = '', AWS_SECRET_ACCESS_KEY: secret = '' } = env;
  for (let attempt = 1; attempt <= START_TRIES; attempt++) {
    const address = `127.0.0.1:${await freePort()}`;
    const options = ['--access', access, '--secret', secret, '--port', address, '--quiet', '--keep-alive'];
    const command = ['-c', UNTIL_EOF, 'sh', binary, ...options, 'posix', folder];
    const child = spawn('sh', command, { stdio: ['pipe', 'ignore', 'inherit'] });
    const endpoint = `http://${address}`;
    if (await answers(endpoint, env)) return { endpoint, child };
    await end(child);
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
    const set = CREDENTIAL_NAMES.map((name) => [name, process.env[name]] as const);
    const env = Object.fromEntries(set.filter((pair): pair is [(typeof pair)[0], string] => pair[1] !== undefined));
    return serverAt(given, env, async () => {});
  }
  const binary = await ensureVersitygw();
  if (typeof binary !== 'string') {
    if (process.env.CI === 'true') throw new Error(`missing: ${binary.skip}`);
    return binary;
  }
  const folder = await mkdtemp(join(tmpdir(), 'emr-s3-'));
  const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: randomUUID(), AWS_REGION: 'us-east-1' };
  const { endpoint, child } = await start(binary, folder, env);
  Object.assign(process.env, env);
  return serverAt(endpoint, env, async () => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  });
}
