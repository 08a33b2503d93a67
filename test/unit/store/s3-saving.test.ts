/** What savepoints ask of an S3 server, where it answers as no real server does when asked. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { answerError, type FakeRequest, withFakeS3 } from '../../helpers/fake-s3.js';
import { pattern, refused } from '../../helpers/stores.js';

const BYTES = pattern(6 << 20);
const BEGUN = '<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>';

/** A server that takes parts, and ends an upload but loses the first answer; then there is an object of `bytes`, or none. */
function losingTheEnd(bytes: number | undefined) {
  let ends = 0;
  return ({ method, target }: FakeRequest, response: ServerResponse) => {
    if (method === 'HEAD' && bytes === undefined) return response.writeHead(404).end();
    if (method === 'HEAD') return response.writeHead(200, { etag: '"whole"', 'content-length': bytes }).end();
    if (method === 'DELETE') return response.writeHead(204).end();
    if (method === 'PUT') return response.writeHead(200, { etag: '"part"' }).end();
    if (target.includes('uploads')) return response.end(BEGUN);
    return ends++ === 0 ? response.destroy() : answerError(response, 404, 'NoSuchUpload');
  };
}

test('an upload whose end was answered to nobody has ended', async () => {
  await withFakeS3(losingTheEnd(BYTES.byteLength), async (store) => {
    const writer = await store.openWriter('key', BYTES.byteLength);
    await writer.write(BYTES);
    const { bytes, version } = await writer.finish();
    assert.deepEqual([bytes, version], [BYTES.byteLength, '"whole"']);
  });
});

for (const found of [undefined, 5]) {
  test(`an upload that is gone, with ${found ? 'another object' : 'none'} in its place, is upload_incomplete`, async () => {
    await withFakeS3(losingTheEnd(found), async (store) => {
      const writer = await store.openWriter('key', BYTES.byteLength);
      await writer.write(BYTES);
      await refused('upload_incomplete', () => writer.finish());
    });
  });
}

/** A server that begins uploads and answers the copying of a part in this way. */
const copying = (answer: (response: ServerResponse) => void) => (request: FakeRequest, response: ServerResponse) => {
  if (request.headers['x-amz-copy-source']) return answer(response);
  if (request.method === 'POST') return response.end(BEGUN);
  return response.writeHead(200, { etag: '"v"' }).end();
};

for (const [status, code] of [
  [501, 'NotImplemented'],
  [403, 'AccessDenied'],
] as const) {
  test(`a server that answers UploadPartCopy with ${status} cannot save, and is asked once; its probe is removed`, async () => {
    await withFakeS3(
      copying((response) => answerError(response, status, code)),
      async (store, seen) => {
        assert.equal(await store.canSave(), false);
        const asked = seen.length;
        assert.ok(seen.some(({ method, target }) => method === 'DELETE' && target.includes('uploadId=id')));
        assert.equal(
          seen.filter(({ method, target }) => method === 'DELETE' && !target.includes('uploadId')).length,
          2,
        );
        assert.equal(await store.canSave(), false);
        assert.equal(seen.length, asked);
      },
    );
  });
}

test('a server that takes the copying of a part for an empty one cannot save', async () => {
  await withFakeS3(
    copying((response) => response.writeHead(200, { etag: '"empty"' }).end()),
    async (store) => assert.equal(await store.canSave(), false),
  );
});

test('a server that refuses now is asked again', async () => {
  await withFakeS3(
    (_request, response) => answerError(response, 403, 'AccessDenied'),
    async (store, seen) => {
      assert.equal(await store.canSave(), false);
      const asked = seen.length;
      assert.equal(await store.canSave(), false);
      assert.ok(seen.length > asked);
    },
  );
});

test('a rest that was put beside segments that could not be made safe is removed', async () => {
  await withFakeS3(
    copying((response) => answerError(response, 400, 'InvalidRequest')),
    async (store, seen) => {
      const { signal } = new AbortController();
      const writer = await store.openWriter('key', 2 * BYTES.byteLength);
      await writer.write(BYTES);
      await assert.rejects(writer.save('saved', signal));
      await writer.write(BYTES.subarray(0, 100));
      await assert.rejects(writer.save('saved', signal));
      const targets = (sent: string) =>
        seen
          .filter(({ method, headers }) => method === sent && !headers['x-amz-copy-source'])
          .map(({ target }) => target);
      const rest = targets('PUT').filter((target) => target.startsWith('saved/') && !target.includes('uploadId'));
      assert.equal(rest.length, 1);
      const removed = targets('DELETE').map((target) => target.split('?')[0]);
      assert.ok(removed.includes(rest[0]!.split('?')[0]), JSON.stringify(removed));
    },
  );
});
