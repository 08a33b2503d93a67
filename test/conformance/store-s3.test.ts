import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ListMultipartUploadsCommand, ListPartsCommand } from '@aws-sdk/client-s3';
import { openStore } from '../../src/store/open.js';
import { s3Server } from '../helpers/s3-server.js';
import { storeConformance } from './store.js';

const server = await s3Server();

if ('skip' in server) {
  test('store: S3', { skip: server.skip }, () => {});
} else {
  const { client, endpoint, createBucket, stop } = server;
  after(stop);
  for (const [name, prefix] of [
    ['S3', ''],
    ['S3, below a prefix', 'team/emr'],
  ] as const) {
    storeConformance(name, async () => {
      const bucket = await createBucket();
      const store = await openStore({ kind: 's3', bucket: bucket.name, prefix, endpoint });
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
    });
  }
}
