import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parseStoreUrl } from '../../../src/store/open.js';
import { refused } from '../../helpers/stores.js';

test('a file store: absolute, relative, as a URL', () => {
  assert.deepEqual(parseStoreUrl('file:/srv/emr'), { kind: 'file', root: '/srv/emr' });
  assert.deepEqual(parseStoreUrl('file:data/emr'), { kind: 'file', root: resolve('data/emr') });
  assert.deepEqual(parseStoreUrl('file:///srv/a%20b'), { kind: 'file', root: '/srv/a b' });
});

test('an S3 store: bucket, prefix, options', () => {
  assert.deepEqual(parseStoreUrl('s3://models'), { kind: 's3', bucket: 'models', prefix: '' });
  assert.deepEqual(parseStoreUrl('s3://models/'), { kind: 's3', bucket: 'models', prefix: '' });
  assert.deepEqual(
    parseStoreUrl('s3://models/team/emr/', { endpoint: 'http://s3.local:9000', checksums: 'when_required' }),
    { kind: 's3', bucket: 'models', prefix: 'team/emr', endpoint: 'http://s3.local:9000', checksums: 'when_required' },
  );
});

for (const url of [
  '',
  'data',
  'file:',
  'file://host/share',
  'http://x/y',
  's3:models',
  's3://',
  's3:///x',
  's3://m/../x',
]) {
  test(`refuses ${url || 'an empty address'}`, async () => {
    await refused('invalid_request', async () => parseStoreUrl(url));
  });
}
