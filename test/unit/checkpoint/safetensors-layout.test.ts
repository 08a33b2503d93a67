import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutSafetensors } from '../../../src/checkpoint/safetensors-layout.js';
import type { TensorSpec } from '../../../src/checkpoint/types.js';
import { EmrError, type ErrorCode } from '../../../src/errors.js';

const json = (tensors: readonly TensorSpec[]) => layoutSafetensors(tensors).header.toString('utf8', 8);

test('writes the length, compact JSON with the metadata first, and spaces up to a multiple of 8', () => {
  const { header, tensors, bytes } = layoutSafetensors([{ name: 'w', dtype: 'F32', shape: [2, 3] }]);
  const text = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}';
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  assert.equal(header.readBigUInt64LE(), BigInt(padded.length));
  assert.equal(header.toString('utf8', 8), padded);
  assert.deepEqual(tensors, [{ name: 'w', dtype: 'F32', shape: [2, 3], offset: header.length, bytes: 24 }]);
  assert.equal(bytes, header.length + 24);
});

test('a file without tensors has its metadata', () => {
  assert.equal(json([]).trimEnd(), '{"__metadata__":{"format":"pt"}}');
});

test('sorts by dtype and then by the UTF-8 bytes of the name, and leaves the argument as it was', () => {
  const tensors: TensorSpec[] = [
    { name: 'a', dtype: 'BOOL', shape: [] },
    { name: '\u{1f600}', dtype: 'F32', shape: [] },
    { name: '\uff41', dtype: 'F32', shape: [] },
    { name: 'b', dtype: 'BF16', shape: [] },
    { name: 'z', dtype: 'I64', shape: [] },
  ];
  const before = [...tensors];
  assert.deepEqual(
    layoutSafetensors(tensors).tensors.map(({ name }) => name),
    ['z', '\uff41', '\u{1f600}', 'b', 'a'],
  );
  assert.deepEqual(tensors, before);
});

const REFUSED: Record<string, [ErrorCode, TensorSpec[]]> = {
  'an empty name': ['safetensors_name', [{ name: '', dtype: 'U8', shape: [] }]],
  'the name of the metadata': ['safetensors_name', [{ name: '__metadata__', dtype: 'U8', shape: [] }]],
  'a lone surrogate': ['safetensors_name', [{ name: 'a\ud800', dtype: 'U8', shape: [] }]],
  'two tensors of one name': [
    'safetensors_duplicate_key',
    [
      { name: 'a', dtype: 'U8', shape: [] },
      { name: 'a', dtype: 'F32', shape: [] },
    ],
  ],
  'a tensor beyond 2^53 - 1 bytes': ['safetensors_shape_overflow', [{ name: 'a', dtype: 'U8', shape: [2 ** 53] }]],
  'tensors that together are beyond 2^53 - 1 bytes': [
    'safetensors_shape_overflow',
    [
      { name: 'a', dtype: 'U8', shape: [2 ** 52] },
      { name: 'b', dtype: 'U8', shape: [2 ** 52] },
    ],
  ],
  'a header that no reader takes': [
    'safetensors_header_too_large',
    Array.from({ length: 100 }, (_, i) => ({ name: `${i}${'n'.repeat(2 ** 20)}`, dtype: 'U8', shape: [0] })),
  ],
};

for (const [what, [code, tensors]] of Object.entries(REFUSED)) {
  test(`refuses ${what} as ${code}`, () => {
    assert.throws(
      () => layoutSafetensors(tensors),
      (error) => error instanceof EmrError && error.code === code,
    );
  });
}
