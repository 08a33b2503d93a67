import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { family, singleFile } from '../helpers/model-files.js';
import { answer, openRequest } from '../helpers/raw-http.js';
import { problemOf, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const models = family(2);
await server.upload('base', singleFile(models.base));
await server.upload('a', singleFile(models.tasks[0]!));
await server.upload('b', singleFile(models.tasks[1]!));
const tasks = ['a', 'b'].map((name) => ({ name, checkpoint: name }));
assert.equal((await server.merge({ name: 'm', base: 'base', tasks })).state, 'succeeded');

const MODEL = '/v1/merges/m/tasks/a/model.safetensors';
const KINDS = {
  'a reconstruction': MODEL,
  'a reconstruction in BF16': `${MODEL}?dtype=BF16`,
  'a stored artifact': '/v1/merges/m/files/tasks/b/mask.safetensors',
  'a side file': '/v1/merges/m/tasks/a/files/config.json',
};

const fetchRange = (path: string, range: string, headers: Record<string, string> = {}) =>
  server.call('GET', path, { headers: { range, ...headers } });
const bodyOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

for (const [kind, path] of Object.entries(KINDS)) {
  const whole = await bodyOf(await server.call('GET', path));
  const size = whole.byteLength;

  /** Bytes start … end − 1, checked against the whole and the headers of RFC 9110. */
  const check = async (start: number, end: number, range = `bytes=${start}-${end - 1}`) => {
    const response = await fetchRange(path, range);
    const body = await bodyOf(response);
    assert.equal(response.status, 206, range);
    assert.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/${size}`);
    assert.equal(response.headers.get('content-length'), String(end - start));
    assert.ok(body.equals(whole.subarray(start, end)), `${kind} ${range}`);
  };

  test(`${kind}: the first, the last and the middle bytes`, async () => {
    await check(0, 1);
    await check(size - 1, size);
    await check(0, size);
    await check(size >> 1, (size >> 1) + 1);
    await check(size - 7, size, 'bytes=-7');
    await check(3, size, 'bytes=3-');
    await check(3, size, `bytes=3-${size + 1000}`);
    await check(0, size, `bytes=-${size + 1000}`);
  });

  test(`${kind}: any range is that part of the whole`, async () => {
    const range = fc.tuple(fc.nat(size - 1), fc.nat(size - 1)).map(([a, b]) => [Math.min(a, b), Math.max(a, b) + 1]);
    await fc.assert(
      fc.asyncProperty(range, ([start, end]) => check(start!, end!)),
      { numRuns: 60 },
    );
  });

  test(`${kind}: HEAD has the headers of GET and no body, also of a range, which is of GET alone`, async () => {
    for (const headers of [{}, { range: 'bytes=1-3' }, { range: `bytes=${size}-` }]) {
      const [head, get] = await Promise.all([server.call('HEAD', path, { headers }), server.call('GET', path)]);
      await get.arrayBuffer();
      const of = (response: Response) =>
        [...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name));
      assert.equal(head.status, get.status);
      assert.deepEqual(of(head), of(get));
      assert.equal((await head.arrayBuffer()).byteLength, 0);
    }
    const { headers } = await server.call('HEAD', path);
    assert.equal(headers.get('content-length'), String(size));
    assert.equal(headers.get('accept-ranges'), 'bytes');
    assert.match(headers.get('etag')!, /^"[0-9a-f]+"$/);
  });

  test(`${kind}: a range outside of it cannot be had`, async () => {
    for (const range of [`bytes=${size}-`, `bytes=${size}-${size + 5}`, `bytes=${2 ** 60}-`, 'bytes=-0']) {
      const response = await fetchRange(path, range);
      assert.equal(response.headers.get('content-range'), `bytes */${size}`, range);
      await problemOf(response, 'invalid_range', 416, server.dataDir);
    }
  });

  test(`${kind}: what is no single range of bytes is answered with the whole`, async () => {
    for (const range of ['bytes=0-1,4-5', 'lines=1-2', 'bytes=x-y', 'bytes', 'bytes=5-2', 'bytes=-']) {
      const response = await fetchRange(path, range);
      const body = await bodyOf(response);
      assert.equal(response.status, 200, range);
      assert.ok(body.equals(whole), range);
    }
  });

  test(`${kind}: If-Range and If-None-Match compare tags`, async () => {
    const tag = (await server.call('HEAD', path)).headers.get('etag')!;
    const range = 'bytes=0-9';
    assert.equal((await fetchRange(path, range, { 'if-range': tag })).status, 206);
    for (const other of ['"another"', `W/${tag}`, new Date().toUTCString()]) {
      const response = await fetchRange(path, range, { 'if-range': other });
      assert.equal(response.status, 200, other);
      assert.ok((await bodyOf(response)).equals(whole));
    }
    for (const tags of [tag, `W/${tag}`, `"another", ${tag}`, '*']) {
      for (const method of ['GET', 'HEAD']) {
        const response = await server.call(method, path, { headers: { 'if-none-match': tags } });
        assert.equal(response.status, 304, tags);
        assert.equal(response.headers.get('etag'), tag);
        assert.equal((await response.arrayBuffer()).byteLength, 0);
      }
    }
    const response = await server.call('GET', path, { headers: { 'if-none-match': '"another"' } });
    assert.equal(response.status, 200);
    await response.arrayBuffer();
  });
}

test('ranges cut at every boundary of header and tensors add up to the whole', async () => {
  const whole = await bodyOf(await server.call('GET', MODEL));
  const start = 8 + Number(whole.readBigUInt64LE());
  const header = JSON.parse(whole.toString('utf8', 8, start)) as Record<string, { data_offsets?: [number, number] }>;
  const cuts = new Set([0, 8, start, whole.byteLength]);
  for (const { data_offsets: offsets = [] } of Object.values(header)) {
    for (const offset of offsets) for (const near of [-3, -1, 0, 1, 2]) cuts.add(start + offset + near);
  }
  const points = [...cuts].filter((cut) => cut >= 0 && cut <= whole.byteLength).sort((a, b) => a - b);
  const parts: Buffer[] = [];
  for (const [i, from] of points.slice(0, -1).entries()) {
    parts.push(await bodyOf(await fetchRange(MODEL, `bytes=${from}-${points[i + 1]! - 1}`)));
  }
  assert.ok(Buffer.concat(parts).equals(whole));
});

test('a range of a tensor that ends within an element or a byte of the mask is cut there', async () => {
  const whole = await bodyOf(await server.call('GET', MODEL));
  const start = 8 + Number(whole.readBigUInt64LE());
  for (let from = start; from < start + 40; from++) {
    for (const length of [1, 3, 5, 33]) {
      const body = await bodyOf(await fetchRange(MODEL, `bytes=${from}-${from + length - 1}`));
      assert.ok(body.equals(whole.subarray(from, from + length)), `${from} + ${length}`);
    }
  }
});

test('a download is asked about before a cached copy of it is used', async () => {
  const opened = openRequest(`${server.url}${MODEL}`);
  opened.end();
  const response = await answer(opened);
  assert.equal(response.headers['cache-control'], 'no-cache, no-transform');
  assert.equal(response.headers['content-disposition'], 'attachment; filename="model.safetensors"');
  response.destroy();
});
