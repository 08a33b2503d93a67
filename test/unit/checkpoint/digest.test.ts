import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { checkpointDigest } from '../../../src/checkpoint/digest.js';

const a = { name: 'a.safetensors', bytes: 12, sha256: '0'.repeat(64) };
const b = { name: 'b "é".json', bytes: 3, sha256: 'f'.repeat(64) };

test('is the hash of the documented text', () => {
  const text = `emr-checkpoint-1\n${'0'.repeat(64)} 12 "a.safetensors"\n${'f'.repeat(64)} 3 "b \\"é\\".json"\n`;
  assert.equal(checkpointDigest([a, b]), createHash('sha256').update(text).digest('hex'));
});

test('does not depend on the order of the files, nor change it', () => {
  const files = [b, a];
  assert.equal(checkpointDigest(files), checkpointDigest([a, b]));
  assert.deepEqual(files, [b, a]);
});

test('depends on every name, size and hash', () => {
  const variants = [
    [],
    [a],
    [a, b],
    [{ ...a, name: 'c.safetensors' }, b],
    [{ ...a, bytes: 13 }, b],
    [{ ...a, sha256: '1'.repeat(64) }, b],
    [
      { ...a, sha256: b.sha256 },
      { ...b, sha256: a.sha256 },
    ],
  ];
  assert.equal(new Set(variants.map(checkpointDigest)).size, variants.length);
});
