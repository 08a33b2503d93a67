import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partBytesFor } from '../../../src/store/s3-upload.js';

const MIB = 1 << 20;

test('parts are 5 MiB until 10,000 of them are too few, and always whole MiB', () => {
  assert.equal(partBytesFor(0), 5 * MIB);
  assert.equal(partBytesFor(50_000 * MIB), 5 * MIB);
  assert.equal(partBytesFor(50_000 * MIB + 1), 6 * MIB);
  for (const bytes of [1, 2 ** 32 + 1, 140e9, 5 * 2 ** 40]) {
    const part = partBytesFor(bytes);
    assert.equal(part % MIB, 0);
    assert.ok(Math.ceil(bytes / part) <= 10_000);
  }
});
