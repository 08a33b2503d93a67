import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { createJobCatalog } from '../../src/catalog/jobs.js';
import { jobRequest } from '../../src/models/request.js';
import { KEY_SCOPES } from '../../src/scopes.js';
import { openStore } from '../../src/store/open.js';
import { apiKeysIn, bearer } from '../helpers/api-keys.js';
import { family, singleFile } from '../helpers/model-files.js';
import { ROUTES, type RouteAccess } from '../helpers/route-access.js';
import { problemOf, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());
const apiKeys = await apiKeysIn(server.dataDir);

const { base, tasks } = family(1);
await server.upload('base', singleFile(base, 'base'));
await server.upload('tuned', singleFile(tasks[0]!, 'tuned'));
const request = { base: 'base', tasks: [{ name: 'task', checkpoint: 'tuned' }], exclude: ['head.*'] };
const own = await server.merge({ ...request, name: 'own' });
const average = { ...request, name: 'average', method: { type: 'average' } };
assert.equal((await server.merge(average)).state, 'succeeded');
const batch = await server.expect(202, 'POST', '/v1/batches', { json: { merges: [average] } });
const ids = { merge: own.id, batch: batch.id as string, job: 'a'.repeat(32) };
await makeJob();

const revokedKey = await apiKeys.create({ namespace: 'default', scope: 'admin', limits: {} });
await apiKeys.revoke(revokedKey.record.id);
const keyOf = Object.fromEntries(
  await Promise.all(KEY_SCOPES.map(async (scope) => [scope, await bearer(apiKeys, { scope })])),
) as Record<(typeof KEY_SCOPES)[number], Record<string, string>>;
const other = await bearer(apiKeys, { namespace: 'other' });
const { authorization } = keyOf.admin;
const strangers: Record<string, Record<string, string>> = {
  'no key': {},
  'a wrong key': { authorization: 'Bearer wrong' },
  'a key that nobody made': { authorization: `Bearer emr_${'0'.repeat(16)}_${'A'.repeat(43)}` },
  'the secret of another key': { authorization: authorization!.slice(0, -43) + other.authorization!.slice(-43) },
  'a key without its end': { authorization: authorization!.slice(0, -1) },
  'another scheme': { authorization: authorization!.replace('Bearer', 'Basic') },
  'a revoked key': { authorization: `Bearer ${revokedKey.key}` },
  'an expired key': await bearer(apiKeys, { expires_at: new Date(Date.now() - 1).toISOString() }),
};
await server.restart(); // it has found before that there are no keys

/** A job that has succeeded, of the namespace `default`: to run one takes a model. */
async function makeJob(): Promise<void> {
  const jobs = createJobCatalog(await openStore({ kind: 'file', root: server.dataDir }), Date.now);
  const made = jobRequest.parse({ type: 'evaluate', model: { checkpoint: 'tuned' }, dataset: 'base' });
  const at = new Date().toISOString();
  await jobs.open('default', { id: ids.job, created_at: at, request: made, digests: {} });
  const values = { accuracy: 1, loss: 0, n: 1 };
  await jobs.succeed('default', ids.job, { backend: 'test', finished_at: at, seconds: 0, ...values });
}

function ask({ route, path, options }: RouteAccess, headers: Record<string, string>): Promise<Response> {
  return server.call(route.split(' ')[0]!, path(ids), { ...options?.(), headers });
}

const document = parse(readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8')) as {
  paths: Record<string, Record<string, { security: object[] }>>;
};
const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, { security }]) => ({ route: `${method.toUpperCase()} ${path}`, security })),
);

test('every route of openapi.yaml is in the table, with the scope that it says', () => {
  const expected = ROUTES.map(({ route, scope }) => ({ route, security: scope === 'open' ? [] : [{ key: [scope] }] }));
  const byRoute = (a: { route: string }, b: { route: string }) => (a.route < b.route ? -1 : 1);
  assert.deepEqual(documented.toSorted(byRoute), expected.toSorted(byRoute));
});

for (const access of ROUTES) {
  test(access.route, async () => {
    if (access.scope === 'open') {
      for (const headers of Object.values(strangers)) assert.equal((await ask(access, headers)).status, access.own);
      return;
    }
    for (const [name, headers] of Object.entries(strangers)) {
      const response = await ask(access, headers);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer', name);
      await requireProblem(access, response, 'unauthorized', 401);
    }
    const tooLittle = KEY_SCOPES.slice(0, KEY_SCOPES.indexOf(access.scope));
    for (const scope of tooLittle) {
      const response = await ask(access, keyOf[scope]);
      assert.match(response.headers.get('www-authenticate') ?? '', /error="insufficient_scope"/);
      await requireProblem(access, response, 'forbidden', 403);
    }
    await requireAnswerToOther(access);
    const owner = await ask(access, keyOf[access.scope]);
    assert.equal(owner.status, access.own, await owner.text());
  });
}

/** HEAD has no body to look at. */
async function requireProblem({ route }: RouteAccess, response: Response, code: string, status: number) {
  if (!route.startsWith('HEAD')) return problemOf(response, code as 'unauthorized', status, server.dataDir);
  return assert.equal(response.status, status);
}

async function requireAnswerToOther(access: RouteAccess): Promise<void> {
  const response = await ask(access, other);
  const [status, says = ''] = access.other;
  assert.equal(response.status, status);
  if (access.route.startsWith('HEAD')) return;
  if (status >= 400) {
    const text = JSON.stringify(await problemOf(response, says as 'not_found', status, server.dataDir));
    assert.ok(!text.includes(ids.merge) || access.path(ids).includes(ids.merge), text);
  } else assert.ok((await response.text()).includes(says));
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

test('to methods that an address does not have, every key gets the same answer, and nobody else gets one', async () => {
  for (const [address, operations] of Object.entries(document.paths)) {
    const had = Object.keys(operations).map((method) => method.toUpperCase());
    const access = ROUTES.find(({ route }) => route.endsWith(` ${address}`))!;
    for (const method of METHODS.filter((one) => !had.includes(one))) {
      const send = (headers: Record<string, string>) => server.call(method, access.path(ids), { headers });
      if (access.scope !== 'open') assert.equal((await send({})).status, 401, `${method} ${address}`);
      const answers = await Promise.all([keyOf.read, keyOf.admin, other].map(send));
      const bodies = new Set(await Promise.all(answers.map((answer) => answer.text())));
      assert.equal(bodies.size, 1, `${method} ${address}`);
      for (const { status, headers } of answers) {
        assert.equal(status, method === 'OPTIONS' ? 204 : 405, `${method} ${address}`);
        assert.deepEqual(headers.get('allow')?.split(', ').toSorted(), [...had, 'OPTIONS'].toSorted());
      }
      if (method === 'HEAD' || method === 'OPTIONS') continue;
      const [text] = bodies;
      assert.equal((JSON.parse(text!) as { code: string }).code, 'method_not_allowed');
    }
  }
});

test('nothing of a namespace was touched from outside', async () => {
  const stored = (await server.stored()).filter((key) => key.startsWith('other/'));
  assert.deepEqual(
    stored.filter((key) => !key.startsWith('other/checkpoints/put/')),
    [],
  );
});
