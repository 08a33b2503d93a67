import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { randomTensor, singleFile } from '../helpers/model-files.js';
import { answer, bodyOf, openRequest } from '../helpers/raw-http.js';
import { testServer } from '../helpers/server.js';
import { until } from '../helpers/until.js';

const server = await testServer();
after(() => server.close());

/** Many times what sockets hold on loopback, so that a reader who stops stops the server too. */
const ELEMENTS = 6_000_001;
const model = (seed: number, head: number) => [
  randomTensor('body.weight', [ELEMENTS], seed),
  randomTensor('head.weight', [head, 1000], seed + 1, { dtype: 'F16' }),
];
await server.upload('base', singleFile(model(1, 1000)));
await server.upload('a', singleFile(model(3, 1500)));
await server.upload('b', singleFile(model(5, 1200)));
const tasks = ['a', 'b'].map((name) => ({ name, checkpoint: name }));
assert.equal((await server.merge({ name: 'm', base: 'base', tasks, exclude: ['head.*'] })).state, 'succeeded');

const url = (path: string) => `${server.url}/v1/merges/m/${path}`;
const MODELS = ['tasks/a/model.safetensors', 'tasks/b/model.safetensors?dtype=F16', 'files/unified.safetensors'];
const wholes = new Map<string, Buffer>();
for (const path of MODELS) wholes.set(path, Buffer.from(await (await fetch(url(path))).arrayBuffer()));

/** Files of the store that this process, which is the server too, has open. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${descriptor}`);
      return target.startsWith(server.dataDir) ? [target] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}
const onLinux = { skip: process.platform === 'linux' ? false : 'counts descriptors in /proc; to run it: use Linux' };

async function start(path: string) {
  const opened = openRequest(url(path));
  opened.end();
  return answer(opened);
}

test('downloads side by side are each their own', async () => {
  const paths = [...MODELS, ...MODELS, ...MODELS];
  const bodies = await Promise.all(paths.map(async (path) => bodyOf(await start(path))));
  for (const [i, path] of paths.entries()) assert.ok(bodies[i]!.equals(wholes.get(path)!), path);
});

for (const path of MODELS) {
  test(`a slow reader of ${path} gets the right bytes`, async () => {
    const response = await start(path);
    const parts: Buffer[] = [];
    let pauses = 0;
    for await (const part of response) {
      parts.push(Buffer.from(part as Buffer));
      if (parts.length % 100 !== 1) continue;
      // While this one waits, another download runs through the server from end to end.
      pauses += 1;
      await fetch(url(path), { headers: { range: `bytes=${pauses}-` } }).then((other) => other.arrayBuffer());
    }
    assert.ok(pauses > 1);
    assert.ok(Buffer.concat(parts).equals(wholes.get(path)!));
  });
}

test('a reader who stops holds the server back, and gets the rest later', onLinux, async () => {
  const path = MODELS[0]!;
  const response = await start(path);
  response.pause();
  const others = await Promise.all(MODELS.map((other) => fetch(url(other)).then((got) => got.arrayBuffer())));
  for (const [i, other] of others.entries()) assert.ok(Buffer.from(other).equals(wholes.get(MODELS[i]!)!));
  assert.ok(openFiles().length > 0, 'the server waits with its files open');
  assert.ok((await bodyOf(response)).equals(wholes.get(path)!));
  await until('every file is closed', () => openFiles().length === 0);
});

test('a client that breaks off leaves no file open', onLinux, async () => {
  for (const path of [...MODELS, 'tasks/a/files/model.safetensors']) {
    const responses = await Promise.all(Array.from({ length: 5 }, () => start(path)));
    for (const response of responses) await new Promise((resolve) => response.once('readable', resolve));
    assert.ok(openFiles().length > 0, 'the downloads are under way');
    for (const response of responses) response.destroy();
    await until('every file is closed', () => openFiles().length === 0);
  }
});

test('HEAD, 304, 416 and refusals open nothing that stays open', onLinux, async () => {
  const path = url(MODELS[0]!);
  const tag = (await fetch(path, { method: 'HEAD' })).headers.get('etag')!;
  const statuses: number[] = [];
  for (const [method, headers] of [
    ['HEAD', {}],
    ['GET', { 'if-none-match': tag }],
    ['GET', { range: 'bytes=999999999-' }],
  ] as const) {
    const response = await fetch(path, { method, headers });
    await response.arrayBuffer();
    statuses.push(response.status);
  }
  assert.deepEqual(statuses, [200, 304, 416]);
  await until('every file is closed', () => openFiles().length === 0);
});
