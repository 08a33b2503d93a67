import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { createGuard, KEY_CACHE_MS } from '../../../src/api/guard.js';
import { createApiKeys } from '../../../src/catalog/api-keys.js';
import { createFileStore } from '../../../src/store/fs.js';
import { temporaryFolder } from '../../helpers/temporary.js';

function setup(environmentKeys: string[] = [], mayBeOpen = true) {
  const clock = { now: Date.parse('2027-01-01T00:00:00Z') };
  const now = () => clock.now;
  const root = temporaryFolder('emr-guard-');
  const apiKeys = createApiKeys(createFileStore({ root }), now);
  const guard = createGuard({ environmentKeys, stored: apiKeys, now, mayBeOpen });
  const admit = (key: string) => guard.admit(`Bearer ${key}`);
  /** What is known of keys grows old, and the store has none any more. */
  const loseKeys = () => {
    clock.now += KEY_CACHE_MS + 1;
    rmSync(root, { recursive: true, force: true });
  };
  return { clock, apiKeys, guard, admit, loseKeys };
}
const options = { namespace: 'team', scope: 'write', limits: { running: 2 } } as const;

test('a stored key is known by its id and its secret', async () => {
  const { apiKeys, admit } = setup();
  const { record, key } = await apiKeys.create(options);
  assert.deepEqual(await admit(key), { key: record.id, ...options, counted: true });
  assert.equal(await admit(`${key}x`), undefined);
  assert.equal(await admit(key.slice(0, -1)), undefined);
  const { key: second } = await apiKeys.create(options);
  assert.equal(await admit(key.slice(0, -43) + second.slice(-43)), undefined, 'the secret of another');
});

test('what is stored does not tell the key, and equal secrets would not look equal', async () => {
  const { apiKeys } = setup();
  const { record, key } = await apiKeys.create(options);
  const secret = key.split('_').slice(2).join('_');
  assert.ok(!JSON.stringify(record).includes(secret));
  const second = await apiKeys.create(options);
  assert.notEqual(record.secret.salt, second.record.secret.salt);
  assert.match(record.secret.hash, /^[0-9a-f]{64}$/);
});

test('a revoked key is refused at the latest when what is known of it has grown old', async () => {
  const { clock, apiKeys, admit } = setup();
  const { record, key } = await apiKeys.create(options);
  assert.ok(await admit(key));
  await apiKeys.revoke(record.id);
  clock.now += KEY_CACHE_MS + 1;
  assert.equal(await admit(key), undefined);
});

test('a key ends when it expires, whatever is known of it', async () => {
  const { clock, apiKeys, admit } = setup();
  const { key } = await apiKeys.create({ ...options, expires_at: new Date(clock.now + 10).toISOString() });
  clock.now += 9;
  assert.ok(await admit(key));
  clock.now += 1;
  assert.equal(await admit(key), undefined);
});

test('without any key everybody is admitted; from the first one on nobody without, also when all are revoked', async () => {
  const { clock, apiKeys, guard } = setup();
  assert.equal((await guard.admit(undefined))?.namespace, 'default');
  const { record } = await apiKeys.create(options);
  clock.now += KEY_CACHE_MS + 1;
  assert.equal(await guard.admit(undefined), undefined);
  await apiKeys.revoke(record.id);
  clock.now += KEY_CACHE_MS + 1;
  assert.equal(await guard.admit(undefined), undefined);
});

test('a server that has seen a key stays closed when its store has none any more', async () => {
  for (const seen of ['asked for without', 'used']) {
    const { apiKeys, guard, admit, loseKeys } = setup();
    const { key } = await apiKeys.create(options);
    if (seen === 'used') assert.ok(await admit(key));
    else assert.equal(await guard.admit(undefined), undefined);
    loseKeys();
    assert.equal(await guard.admit(undefined), undefined, seen);
    assert.equal(await admit(key), undefined, seen);
  }
});

test('a server that other machines reach is closed, whatever its store has', async () => {
  const { apiKeys, guard, admit, loseKeys } = setup([], false);
  assert.equal(await guard.admit(undefined), undefined);
  const { key } = await apiKeys.create(options);
  assert.ok(await admit(key));
  loseKeys();
  assert.equal(await guard.admit(undefined), undefined);
});

test('keys of the environment may do everything in the namespace default, beside stored ones', async () => {
  const { apiKeys, admit, guard } = setup(['first', 'second']);
  assert.deepEqual(await admit('second'), {
    key: 'environment-2',
    namespace: 'default',
    scope: 'admin',
    limits: {},
    counted: true,
  });
  const { key } = await apiKeys.create(options);
  assert.equal((await admit(key))?.namespace, 'team');
  assert.equal(await guard.admit(undefined), undefined);
  assert.equal(await guard.admit('Basic first'), undefined);
});
