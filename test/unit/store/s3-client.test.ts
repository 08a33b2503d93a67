import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { openBucket } from '../../../src/store/s3-client.js';

const before = process.env.AWS_REGION;
afterEach(() => {
  if (before === undefined) delete process.env.AWS_REGION;
  else process.env.AWS_REGION = before;
});

test('the region is looked up once, not with every request', async () => {
  process.env.AWS_REGION = 'eu-north-1';
  const { client } = openBucket({ kind: 's3', bucket: 'b', prefix: '' });
  assert.equal(await client.config.region(), 'eu-north-1');
  process.env.AWS_REGION = 'us-west-2';
  assert.equal(await client.config.region(), 'eu-north-1');
  client.destroy();
});
