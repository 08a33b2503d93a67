import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { FORMAT_LIMITS } from '../../src/checkpoint/limits.js';
import { readConfig } from '../../src/config.js';

test('every variable is optional', () => {
  const config = readConfig({});
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.port, 8080);
  assert.deepEqual(config.apiKeys, []);
  assert.deepEqual(config.fileRoots, []);
  assert.equal(config.maxUploadBytes, 2 ** 40);
  assert.equal(config.redisUrl, undefined);
  assert.equal(config.store.kind, 'file');
  assert.equal(config.store.kind === 'file' && resolve(config.store.root), resolve('data'));
});

test('an empty variable is one that is not set', () => {
  assert.deepEqual(readConfig({ PORT: '', HOST: '', EMR_API_KEYS: '', REDIS_URL: '', EMR_STORE: '' }), readConfig({}));
});

test('a variable that looks like a setting and is none is told', () => {
  const { unknownSettings } = readConfig({ EMR_WEBHOOK_SECRETS: 'x', EMR_THREADS: '2', HOME: '/', EMR_EMPTY: '' });
  assert.deepEqual(unknownSettings, ['EMR_WEBHOOK_SECRETS']);
});

test('lists are separated by commas, with or without blanks', () => {
  const { apiKeys, fileRoots } = readConfig({ EMR_API_KEYS: 'a, b ,,c', EMR_FILE_ROOTS: '/models,/more models' });
  assert.deepEqual(apiKeys, ['a', 'b', 'c']);
  assert.deepEqual(fileRoots, ['/models', '/more models']);
});

test('times are given in seconds and kept in milliseconds', () => {
  const { graceMs, lockMs, reconcileMs } = readConfig({ EMR_GRACE_SECONDS: '1.5', EMR_LOCK_SECONDS: '2' });
  assert.deepEqual({ graceMs, lockMs, reconcileMs }, { graceMs: 1500, lockMs: 2000, reconcileMs: 30_000 });
  for (const name of ['EMR_GRACE_SECONDS', 'EMR_LOCK_SECONDS', 'EMR_RECONCILE_SECONDS']) {
    assert.throws(() => readConfig({ [name]: '0' }), new RegExp(name));
    assert.throws(() => readConfig({ [name]: 'soon' }), new RegExp(name));
  }
});

test('limits are whole numbers up to what this program stands', () => {
  for (const { variable, usual, ceiling } of [
    ...Object.values(FORMAT_LIMITS),
    { variable: 'EMR_MAX_JSON_BYTES', usual: 4 * 2 ** 20, ceiling: 64 * 2 ** 20 },
  ]) {
    const read = (value: number | string) => {
      const { limits, maxJsonBytes } = readConfig({ [variable]: String(value) });
      return [...Object.values(limits), maxJsonBytes];
    };
    assert.ok(read('').includes(usual) && !read(ceiling).includes(usual) && read(ceiling).includes(ceiling), variable);
    for (const wrong of [0, -1, 1.5, ceiling + 1, 'many']) assert.throws(() => read(wrong), new RegExp(variable));
  }
});

test('a store is a folder or a bucket', () => {
  assert.deepEqual(readConfig({ EMR_DATA_DIR: '/srv/emr' }).store, { kind: 'file', root: '/srv/emr' });
  const s3 = { EMR_STORE: 's3://bucket/team/emr', S3_ENDPOINT: 'http://127.0.0.1:9000', S3_CHECKSUMS: 'when_required' };
  assert.deepEqual(readConfig(s3).store, {
    kind: 's3',
    bucket: 'bucket',
    prefix: 'team/emr',
    endpoint: 'http://127.0.0.1:9000',
    checksums: 'when_required',
  });
});

test('every variable at fault is named at once', () => {
  const wrong = {
    PORT: '70000',
    EMR_THREADS: '0',
    EMR_MAX_UPLOAD_BYTES: '1.5',
    REDIS_URL: 'http://x',
    LOG_LEVEL: 'loud',
  };
  assert.throws(
    () => readConfig(wrong),
    (error: Error) => Object.keys(wrong).every((name) => error.message.includes(name)),
  );
  assert.throws(() => readConfig({ S3_CHECKSUMS: 'never' }), /S3_CHECKSUMS/);
  assert.throws(() => readConfig({ EMR_STORE: 'ftp://x' }));
});

test('hosts and networks that may be called are checked at the start, each by name', () => {
  assert.deepEqual(readConfig({}).outbound, { hosts: [], networks: [] });
  const { outbound } = readConfig({ EMR_OUTBOUND_HOSTS: 'a.test, *.b.test:8443', EMR_OUTBOUND_NETWORKS: '10.0.0.0/8' });
  assert.deepEqual(
    outbound.hosts.map(({ hostname, wildcard }) => [hostname, wildcard]),
    [
      ['a.test', false],
      ['b.test', true],
    ],
  );
  assert.deepEqual(outbound.networks, ['10.0.0.0/8']);
  const wrong = { EMR_OUTBOUND_HOSTS: 'a.test,b.test/path,c d', EMR_OUTBOUND_NETWORKS: '10.0.0.0' };
  assert.throws(
    () => readConfig(wrong),
    (error: Error) =>
      ['b.test/path', 'c d', '10.0.0.0', ...Object.keys(wrong)].every((part) => error.message.includes(part)),
  );
});

test('secrets of webhooks are whsec_ and 24 to 64 bytes, and no message repeats one', () => {
  const secret = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString('base64')}`;
  const { webhooks } = readConfig({ EMR_WEBHOOK_SECRET: `${secret(24)}, ${secret(64)}` });
  assert.deepEqual(webhooks, {
    secrets: [Buffer.alloc(24, 7), Buffer.alloc(64, 7)],
    attempts: 8,
    waitMs: 5000,
  });
  for (const wrong of [secret(23), secret(65), 'planted', 'whsec_planted!', secret(24).slice(6)]) {
    assert.throws(
      () => readConfig({ EMR_WEBHOOK_SECRET: wrong }),
      (error: Error) => error.message.includes('EMR_WEBHOOK_SECRET') && !error.message.includes(wrong),
    );
  }
});
