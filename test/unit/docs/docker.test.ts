/** What can be known of the Dockerfile and docker-compose.yml without an engine (docs/operations.md says what cannot). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { readConfig } from '../../../src/config.js';
import { requireKeys } from '../../../src/exposure.js';
import { configVariables, ROOT, readRoot } from '../../helpers/documents.js';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: string[];
  readonly entrypoint?: string[];
  readonly environment?: Record<string, string>;
  readonly healthcheck?: { readonly test: string[] };
  readonly depends_on?: Record<string, { condition: string }>;
  readonly deploy?: { readonly replicas: number };
  readonly ports?: string[];
}

const dockerfile = readRoot('Dockerfile').replaceAll('\\\n', '');
const instructions = (name: string) =>
  [...dockerfile.matchAll(new RegExp(`^ *${name} +(.*)$`, 'gm'))].map(([, rest]) => rest!.trim());
const { services } = parse(readRoot('docker-compose.yml'), { merge: true }) as { services: Record<string, Service> };
const { api, worker, redis, s3 } = services as Record<'api' | 'worker' | 'redis' | 's3', Service>;

/** `${NAME:-default}` and `${NAME:?message}` as Compose resolves them. */
function resolve(environment: Record<string, string>, given: Record<string, string>): Record<string, string> {
  const value = (text: string) =>
    text.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_all, name: string, kind: string, rest: string) => {
      if (given[name] !== undefined) return given[name];
      return kind === '-' ? rest : assert.fail(`${name}: ${rest}`);
    });
  return Object.fromEntries(Object.entries(environment).map(([name, text]) => [name, value(text)]));
}

const imageEnvironment = Object.fromEntries(
  instructions('ENV').flatMap((line) => line.split(/\s+/).map((pair) => pair.split('=') as [string, string])),
);

test('every file that the image runs is made by the build', () => {
  const commands = [...instructions('CMD').map((line) => JSON.parse(line) as string[])];
  for (const command of [...commands, worker.command!, worker.healthcheck!.test.slice(1)]) {
    assert.equal(command[0], 'node');
    if (command[1] === '-e') continue;
    assert.match(command[1]!, /^dist\//);
    assert.ok(existsSync(join(ROOT, command[1]!)), command[1]);
  }
  assert.ok(commands.some((command) => command[1] === 'dist/src/main.js'));
});

test('what the Dockerfile copies is there, and is not ignored', () => {
  const allowed = readRoot('.dockerignore').matchAll(/^!(.+)$/gm);
  const copied = instructions('COPY').filter((line) => !line.startsWith('--from'));
  const sources = copied.flatMap((line) => line.split(/\s+/).slice(0, -1)).map((source) => source.replace('./', ''));
  assert.deepEqual(sources.toSorted(), [...allowed].map(([, path]) => path!).toSorted());
  for (const source of sources) assert.ok(existsSync(join(ROOT, source)), source);
});

test('the image is Node 24 and does not run as root', () => {
  for (const from of instructions('FROM')) assert.match(from, /^node:24-bookworm-slim( AS \w+)?$/);
  assert.match(instructions('USER').at(-1)!, /^[1-9]\d*:[1-9]\d*$/);
});

test('both processes accept the environment that they get', async () => {
  const known = new Set([...configVariables(), 'NODE_ENV', 'NODE_OPTIONS', 'MALLOC_ARENA_MAX']);
  const given = { EMR_API_KEYS: 'one,two' };
  for (const [name, { environment }] of Object.entries({ api, worker })) {
    const own = resolve(environment!, given);
    for (const variable of [...Object.keys(own), ...Object.keys(imageEnvironment)]) {
      assert.ok(known.has(variable) || variable.startsWith('AWS_'), `${name}: ${variable}`);
    }
    const config = readConfig({ ...imageEnvironment, ...own });
    assert.equal(config.redisUrl, 'redis://redis:6379');
    assert.deepEqual(config.store, { kind: 's3', bucket: 'emr', prefix: '', endpoint: 'http://s3:7070' });
    assert.deepEqual([...config.apiKeys], name === 'api' ? ['one', 'two'] : []);
  }
  assert.throws(() => resolve(api.environment!, {}), /set EMR_API_KEYS/);
  await assert.rejects(requireKeys(readConfig(imageEnvironment), { any: async () => false }), /set EMR_API_KEYS/);
});

/** What the stack itself decides: where things listen and lie, and (by stop_grace_period) how long they may take to end. */
const DECIDED = ['PORT', 'HOST', 'EMR_DATA_DIR', 'EMR_FILE_ROOTS', 'EMR_GRACE_SECONDS'];

test('every other variable of the configuration reaches both processes', () => {
  for (const [name, { environment }] of Object.entries({ api, worker })) {
    const apiOnly = name === 'worker' ? ['EMR_API_KEYS'] : [];
    const missing = configVariables().filter((variable) => !(variable in environment!));
    assert.deepEqual(missing.toSorted(), [...DECIDED, ...apiOnly].toSorted(), name);
  }
  const secret = `whsec_${Buffer.alloc(24).toString('base64')}`;
  const given = {
    EMR_API_KEYS: 'one',
    EMR_WEBHOOK_SECRET: secret,
    EMR_MAX_TENSORS: '300000',
    EMR_OUTBOUND_HOSTS: 'a.test',
  };
  const config = readConfig(resolve(worker.environment!, given));
  assert.equal(config.webhooks.secrets.length, 1);
  assert.equal(config.outbound.hosts.length, 1);
  assert.equal(config.limits.maxTensors, 300_000);
});

test('the services belong together', () => {
  assert.equal(worker.deploy!.replicas, 2);
  assert.equal(worker.image, api.image);
  for (const { depends_on } of [api, worker]) {
    assert.deepEqual(depends_on, { redis: { condition: 'service_healthy' }, s3: { condition: 'service_healthy' } });
  }
  const flags = redis.command!.join(' ');
  assert.match(flags, /--maxmemory-policy noeviction/);
  assert.match(flags, /--appendonly yes/);
  assert.match(redis.image, /^redis:7\.\d/);
  assert.match(s3.image, /^versity\/versitygw:v\d+\.\d+\.\d+$/);
  assert.deepEqual(resolve(s3.environment!, {}), {
    ROOT_ACCESS_KEY: api.environment!.AWS_ACCESS_KEY_ID,
    ROOT_SECRET_KEY: resolve(api.environment!, { EMR_API_KEYS: '-' }).AWS_SECRET_ACCESS_KEY,
  });
  assert.match(s3.entrypoint!.at(-1)!, /mkdir -p \/data\/emr .*--port :7070 .*posix \/data$/);
  for (const port of api.ports!) assert.match(port, /^127\.0\.0\.1:/);
  for (const service of [worker, redis, s3]) assert.ok(service.healthcheck!.test.length > 1);
});

test("the image's health check follows /healthz", async () => {
  const check = instructions('HEALTHCHECK')[0]!.replace(/^.*?CMD /, '');
  const [program, ...args] = JSON.parse(check) as string[];
  assert.equal(program, 'node');
  let status = 200;
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/healthz' ? status : 404;
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const run = async () => {
    const child = spawn(process.execPath, args, { env: { PORT: String(port) }, stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number];
    return code;
  };
  assert.equal(await run(), 0);
  status = 503;
  assert.equal(await run(), 1);
  server.close();
  await once(server, 'close');
  assert.equal(await run(), 1);
});
