import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../../src/store/open.js';
import { answerError, withFakeS3 } from '../../helpers/fake-s3.js';
import { chunks, pattern, refused } from '../../helpers/stores.js';

const CONTENT = pattern(300_000);
const BYTES = Buffer.from('bytes');

const HEAD = { etag: '"v1"', 'content-length': CONTENT.byteLength };

test('a body that breaks off is read on from where it broke, in the same version', async () => {
  await withFakeS3(
    ({ method, headers }, response) => {
      if (method === 'HEAD') return response.writeHead(200, HEAD).end();
      const [, from = '0', to = '0'] = /bytes=(\d+)-(\d+)/.exec(headers.range ?? '') ?? [];
      const part = CONTENT.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, { etag: '"v1"', 'content-length': part.byteLength });
      if (part.byteLength < 70_000) return response.end(part);
      return response.write(part.subarray(0, 65_000), () => response.destroy());
    },
    async (store, seen) => {
      const target = Buffer.alloc(CONTENT.byteLength);
      const reader = await store.openReader('object');
      await reader.read(target, 0);
      assert.ok(target.equals(CONTENT));
      const gets = seen.filter((request) => request.method === 'GET');
      assert.ok(gets.length > 3);
      assert.ok(gets.every((request) => request.headers['if-match'] === '"v1"'));
    },
  );
});

test('a body that never comes is given up', async () => {
  await withFakeS3(
    ({ method }, response) => {
      response.writeHead(200, HEAD);
      if (method === 'HEAD') return response.end();
      response.flushHeaders();
      return setImmediate(() => response.destroy());
    },
    async (store) => {
      const reader = await store.openReader('object');
      await refused('store_unavailable', () => reader.read(Buffer.alloc(10), 0));
      await refused('store_unavailable', () => store.readSmall('object'));
    },
  );
});

test('a body longer than asked for is no part of this version', async () => {
  await withFakeS3(
    ({ method }, response) => response.writeHead(200, HEAD).end(method === 'HEAD' ? undefined : CONTENT),
    async (store) => {
      const reader = await store.openReader('object');
      await refused('source_changed', () => reader.read(Buffer.alloc(10), 0));
    },
  );
});

test('create: its own object, written by an attempt whose answer was lost, is a success', async () => {
  let mark: string | undefined;
  await withFakeS3(
    ({ method, headers }, response) => {
      if (method === 'HEAD') return response.writeHead(200, { 'x-amz-meta-writer': mark ?? '' }).end();
      if (mark !== undefined) return answerError(response, 412, 'PreconditionFailed');
      assert.equal(headers['if-none-match'], '*');
      mark = String(headers['x-amz-meta-writer']);
      return response.destroy();
    },
    async (store) => assert.equal(await store.create('key', BYTES), true),
  );
});

test("create: another's object, found after a lost answer, is none", async () => {
  let puts = 0;
  await withFakeS3(
    ({ method }, response) => {
      if (method === 'HEAD') return response.writeHead(200, { 'x-amz-meta-writer': 'another' }).end();
      return puts++ === 0 ? response.destroy() : answerError(response, 412, 'PreconditionFailed');
    },
    async (store) => assert.equal(await store.create('key', BYTES), false),
  );
});

test('create: a conflict with a write in flight is tried again', async () => {
  let puts = 0;
  await withFakeS3(
    (_request, response) =>
      puts++ < 2 ? answerError(response, 409, 'ConditionalRequestConflict') : response.writeHead(200).end(),
    async (store) => {
      assert.equal(await store.create('key', BYTES), true);
      assert.equal(puts, 3);
    },
  );
});

test('check refuses a server that ignores If-None-Match, and removes its probe', async () => {
  await withFakeS3(
    (_request, response) => response.writeHead(200, { etag: '"v"' }).end(),
    async (store, seen) => {
      await refused('store_unavailable', () => store.check());
      assert.equal(seen.at(-1)?.method, 'DELETE');
    },
  );
});

test('deletePrefix: one by one where pages are not supported, nor uploads listed', async () => {
  const names = ['a/1', 'a/2', 'a/3'];
  const listing = names.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
  await withFakeS3(
    ({ method, target }, response) => {
      if (method === 'DELETE') return response.writeHead(204).end();
      if (method === 'POST') return answerError(response, 400, 'MissingContentMD5');
      if (target.includes('uploads')) return answerError(response, 501, 'NotImplemented');
      return response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${listing}</ListBucketResult>`);
    },
    async (store, seen) => {
      await store.deletePrefix('a/');
      const deleted = seen.filter((request) => request.method === 'DELETE');
      assert.deepEqual(deleted.map((request) => request.target.replace(/\?.*/, '')).sort(), names);
    },
  );
});

test('deletePrefix: an object that cannot be deleted is told', async () => {
  await withFakeS3(
    ({ method, target }, response) => {
      if (target.includes('uploads')) return response.end('<ListMultipartUploadsResult/>');
      if (method === 'POST') {
        return response.end('<DeleteResult><Error><Key>a/1</Key><Code>AccessDenied</Code></Error></DeleteResult>');
      }
      return response.end('<ListBucketResult><Contents><Key>a/1</Key><Size>1</Size></Contents></ListBucketResult>');
    },
    async (store) => {
      const error = await refused('store_unavailable', () => store.deletePrefix('a/'));
      assert.deepEqual(error.facts, { failed: 1, reason: 'AccessDenied' });
    },
  );
});

test('a part that is refused ends the upload, and its parts are removed', async () => {
  await withFakeS3(
    ({ method, target }, response) => {
      if (method === 'DELETE') return response.writeHead(204).end();
      if (method === 'PUT') return answerError(response, 507, 'InsufficientStorage');
      if (!target.includes('uploads')) return answerError(response, 500, 'InternalError');
      return response.end('<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>');
    },
    async (store, seen) => {
      await refused('disk_full', () => store.put('key', chunks(Buffer.alloc(40 << 20), 1 << 20)));
      assert.equal(seen.filter((request) => request.method === 'DELETE').length, 1);
      assert.match(seen.at(-1)?.target ?? '', /uploadId=id/);
    },
  );
});

for (const [status, name, code] of [
  [403, 'AccessDenied', 'store_unavailable'],
  [404, 'NoSuchBucket', 'store_unavailable'],
  [503, 'SlowDown', 'store_unavailable'],
  [507, 'XMinioStorageFull', 'disk_full'],
  [400, 'EntityTooLarge', 'too_large'],
  [400, 'KeyTooLongError', 'invalid_name'],
] as const) {
  test(`${status} ${name} is ${code}`, async () => {
    await withFakeS3(
      (_request, response) => answerError(response, status, name),
      async (store) => {
        const error = await refused(code, () => store.create('key', BYTES));
        assert.ok(error.cause instanceof Error);
        if (name !== 'NoSuchBucket') return;
        await refused(code, () => store.readSmall('key'));
        await refused(code, () => store.check());
      },
    );
  });
}

test('a server that is not there is store_unavailable', async () => {
  process.env.AWS_ACCESS_KEY_ID ??= 'test';
  process.env.AWS_SECRET_ACCESS_KEY ??= 'test';
  // Port 9 (discard) is reserved and hardly ever served.
  const store = await openStore({ kind: 's3', bucket: 'b', prefix: '', endpoint: 'http://127.0.0.1:9' });
  await refused('store_unavailable', () => store.check());
  await refused('store_unavailable', () => store.stat('key'));
  await store.close();
});
