import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { openStore } from '../../src/store/open.js';
import { PUT_MEGABYTES, PUT_MEMORY_GROWTH, putMemoryGrowth } from '../helpers/put-memory.js';
import { type S3Server, s3Server } from '../helpers/s3-server.js';
import { chunks, keys, pattern, readAll } from '../helpers/stores.js';
import { type OpenStore, storeConformance } from './store.js';

function openOn({ client, endpoint, createBucket }: S3Server): OpenStore {
  return async () => {
    const bucket = await createBucket();
    const store = await openStore({ kind: 's3', bucket: bucket.name, prefix: 'team/emr', endpoint });
    const uploads = async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
      return Uploads.map(({ Key = '', UploadId = '' }) => ({ Bucket: bucket.name, Key, UploadId }));
    };
    return {
      store,
      async leftovers() {
        return (await uploads()).map((upload) => upload.Key);
      },
      async arrived() {
        for (const upload of await uploads()) {
          while (!(await client.send(new ListPartsCommand(upload))).Parts?.length) await pause(10);
        }
      },
      async cleanup() {
        await store.close();
        await bucket.remove();
      },
    };
  };
}

function furtherCases({ endpoint, createBucket }: S3Server): void {
  test('S3: a whole bucket without a prefix, checksums only where required', async () => {
    const bucket = await createBucket();
    const store = await openStore({
      kind: 's3',
      bucket: bucket.name,
      prefix: '',
      endpoint,
      checksums: 'when_required',
    });
    const content = pattern(17 << 20);
    await store.check();
    await store.put('a/large', chunks(content, 1 << 20));
    assert.equal(await store.create('a/small', Buffer.from('x')), true);
    assert.equal(await store.create('a/small', Buffer.from('y')), false);
    assert.ok((await readAll(store, 'a/large')).equals(content));
    assert.deepEqual(await keys(store), ['a/large', 'a/small']);
    await store.deletePrefix('a/');
    assert.deepEqual(await keys(store), []);
    await store.close();
    await bucket.remove();
  });

  test(`S3: put of ${PUT_MEGABYTES} MB takes no more memory than of 64 MB`, async () => {
    const bucket = await createBucket();
    const growth = await putMemoryGrowth(`s3://${bucket.name}/memory`, endpoint);
    assert.ok(growth < PUT_MEMORY_GROWTH, `peak memory grew by ${growth} bytes`);
    await bucket.remove();
  });
}

const server = await s3Server();
if ('skip' in server) {
  test('store: S3', { skip: server.skip }, () => {});
} else {
  after(server.stop);
  storeConformance('S3', openOn(server));
  furtherCases(server);
}
