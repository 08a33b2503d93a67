import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createApiKeys } from '../../../src/catalog/api-keys.js';
import { runKeys, UsageError } from '../../../src/cli/keys.js';
import { createFileStore } from '../../../src/store/fs.js';
import { temporaryFolder } from '../../helpers/temporary.js';

const DAY_MS = 86_400_000;
const start = Date.parse('2027-01-01T00:00:00Z');

function setup() {
  const printed: string[] = [];
  const clock = { now: start };
  const now = () => clock.now;
  const apiKeys = createApiKeys(createFileStore({ root: temporaryFolder('emr-keys-') }), now);
  const run = async (...args: string[]) => {
    printed.length = 0;
    await runKeys(args, { apiKeys, now, print: (line) => printed.push(line), note: () => {} });
    return [...printed];
  };
  return { apiKeys, clock, run };
}

test('create prints the key, and list and revoke know it by its id', async () => {
  const { apiKeys, clock, run } = setup();
  const [key] = await run(
    'create',
    '--scope',
    'write',
    '--namespace',
    'team-a',
    '--name',
    'nightly',
    '--expires',
    '2d',
  );
  assert.match(key!, /^emr_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
  const id = key!.slice(4, 20);
  const { namespace, scope, expires_at } = (await apiKeys.find(id))!;
  assert.deepEqual(
    { namespace, scope, expires_at },
    {
      namespace: 'team-a',
      scope: 'write',
      expires_at: new Date(start + 2 * DAY_MS).toISOString(),
    },
  );
  const state = async () => (await run('list')).find((line) => line.startsWith(id))!;
  assert.match(await state(), /team-a +write +active .* nightly$/);
  assert.ok(!(await state()).includes(key!.slice(21)));
  clock.now += 2 * DAY_MS;
  assert.match(await state(), / expired /);
  await run('revoke', id);
  assert.match(await state(), / revoked /);
});

test('list can be of one namespace', async () => {
  const { run } = setup();
  await run('create', '--scope', 'read');
  await run('create', '--scope', 'read', '--namespace', 'other');
  assert.equal((await run('list')).length, 3);
  assert.equal((await run('list', '--namespace', 'other')).length, 2);
});

test('limits are kept with the key', async () => {
  const { apiKeys, run } = setup();
  const args = ['--requests-per-minute', '60', '--stored-bytes', '1000000000', '--running', '2'];
  const [key] = await run('create', '--scope', 'admin', ...args);
  const { limits } = (await apiKeys.find(key!.slice(4, 20)))!;
  assert.deepEqual(limits, { requests_per_minute: 60, stored_bytes: 1e9, running: 2 });
});

test('what cannot be understood is refused, and nothing is made', async () => {
  const { apiKeys, run } = setup();
  const wrong = [
    [],
    ['delete'],
    ['create'],
    ['create', '--scope', 'all'],
    ['create', '--scope', 'read', '--namespace', '../x'],
    ['create', '--scope', 'read', '--namespace', '_keys'],
    ['create', '--scope', 'read', '--namespace', 'Team'],
    ['create', '--scope', 'read', '--expires', '2020-01-01'],
    ['create', '--scope', 'read', '--expires', 'soon'],
    ['create', '--scope', 'read', '--running', '0'],
    ['create', '--scope', 'read', '--stored-bytes', '1e9'],
    ['create', '--scope', 'read', 'more'],
    ['revoke'],
  ];
  for (const args of wrong) await assert.rejects(run(...args), UsageError, args.join(' '));
  await assert.rejects(run('revoke', '0'.repeat(16)), { code: 'unknown_key' });
  for await (const key of apiKeys.list()) assert.fail(key.id);
});

test('the command works on the store of its environment, and says what is wrong without a stack', async () => {
  const program = fileURLToPath(new URL('../../../src/cli/emr.js', import.meta.url));
  const env = { PATH: process.env.PATH, EMR_DATA_DIR: temporaryFolder('emr-cli-') };
  const emr = (...args: string[]) => promisify(execFile)(process.execPath, [program, ...args], { env });
  const { stdout } = await emr('keys', 'create', '--scope', 'admin');
  const id = stdout.slice(4, 20);
  assert.match((await emr('keys', 'list')).stdout, new RegExp(`${id} .*active`));
  await emr('keys', 'revoke', id);
  assert.match((await emr('keys', 'list')).stdout, new RegExp(`${id} .*revoked`));
  await assert.rejects(emr('keys', 'mend'), ({ code, stderr }: { code: number; stderr: string }) => {
    assert.equal(code, 1);
    assert.match(stderr, /no keys mend/);
    assert.doesNotMatch(stderr, /\.js:/);
    return true;
  });
});
