import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS, type FormatLimits, OWN_FILES } from '../../src/checkpoint/limits.js';
import { parseHeader } from '../../src/checkpoint/safetensors-read.js';
import { EmrError, type ErrorCode } from '../../src/errors.js';
import { rawSafetensors } from '../helpers/safetensors-file.js';

const A = '"dtype":"F32","shape":[1],"data_offsets":[0,4]';
const B = '"dtype":"F32","shape":[1],"data_offsets":[4,8]';
const entry = (shape: string, offsets: string, dtype = '"F32"') =>
  `{"a":{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}}`;

function refused(file: Uint8Array, code: ErrorCode, limits?: Partial<FormatLimits>): EmrError {
  try {
    parseHeader(file, file.byteLength, { ...DEFAULT_LIMITS, ...limits });
  } catch (error) {
    assert.ok(error instanceof EmrError, String(error));
    assert.equal(error.code, code, error.detail);
    return error;
  }
  throw new assert.AssertionError({ message: `accepted, and ${code} was expected` });
}

/** Each rule of the format, under the name of the attack or accident that it stops. */
const ATTACKS: Record<string, [code: ErrorCode, file: Uint8Array, limits?: Partial<FormatLimits>]> = {
  'an empty file': ['safetensors_too_short', Buffer.alloc(0)],
  'seven bytes, which hold no length': ['safetensors_too_short', Buffer.alloc(7)],
  'a length of 2^64 - 1, to wrap round or to exhaust memory': [
    'safetensors_header_too_large',
    rawSafetensors('{}', 0, 2n ** 64n - 1n),
  ],
  'a length of 2^32 + 2, which 32-bit arithmetic takes for 2': [
    'safetensors_header_too_large',
    rawSafetensors('{}', 0, 2n ** 32n + 2n),
  ],
  'a header above the configured limit': ['safetensors_header_too_large', rawSafetensors('{} '), { maxHeaderBytes: 2 }],
  "a header above upstream's maximum, whatever is configured": [
    'safetensors_header_too_large',
    rawSafetensors('{}', 0, 100_000_001n),
    OWN_FILES,
  ],
  'a header that goes on beyond the file': ['safetensors_header_truncated', rawSafetensors('{}', 0, 3n)],
  'an overlong UTF-8 sequence': ['safetensors_header_not_utf8', rawSafetensors(Buffer.from([0x7b, 0xc0, 0x80, 0x7d]))],
  'a surrogate in UTF-8': ['safetensors_header_not_utf8', rawSafetensors(Buffer.from([0x7b, 0xed, 0xa0, 0x80, 0x7d]))],
  'a byte order mark': ['safetensors_header_start', rawSafetensors('\ufeff{}')],
  'white space before the header': ['safetensors_header_start', rawSafetensors(' {}')],
  'an empty header': ['safetensors_header_start', rawSafetensors('')],
  'a list for a header': ['safetensors_header_start', rawSafetensors('[]')],
  'a header cut short': ['safetensors_header_not_json', rawSafetensors(`{"a":{${A}}`, 4)],
  'a second value after the header': ['safetensors_header_not_json', rawSafetensors(`{"a":{${A}}}{}`, 4)],
  'padding with zero bytes': ['safetensors_header_not_json', rawSafetensors(`{"a":{${A}}}\0`, 4)],
  'a trailing comma': ['safetensors_header_not_json', rawSafetensors(`{"a":{${A}},}`, 4)],
  'a comment': ['safetensors_header_not_json', rawSafetensors(`{/**/"a":{${A}}}`, 4)],
  'a raw line feed in a name': ['safetensors_header_not_json', rawSafetensors(`{"a\n":{${A}}}`, 4)],
  'an escape that JSON does not have': ['safetensors_header_not_json', rawSafetensors(`{"\\x61":{${A}}}`, 4)],
  'a lone surrogate, which no UTF-8 name can hold': [
    'safetensors_header_not_json',
    rawSafetensors(`{"\\ud800":{${A}}}`, 4),
  ],
  'a backslash as the last character': ['safetensors_header_not_json', rawSafetensors('{"a\\')],
  'two tensors of one name, of which readers pick different ones': [
    'safetensors_duplicate_key',
    rawSafetensors(`{"a":{${A}},"a":{${B}}}`, 8),
  ],
  'two tensors of one name, one of them in escapes': [
    'safetensors_duplicate_key',
    rawSafetensors(`{"a":{${A}},"\\u0061":{${B}}}`, 8),
  ],
  'two tensors named __proto__': [
    'safetensors_duplicate_key',
    rawSafetensors(`{"__proto__":{${A}},"__proto__":{${B}}}`, 8),
  ],
  'a dtype given twice': ['safetensors_duplicate_key', rawSafetensors(`{"a":{${A},"dtype":"I32"}}`, 4)],
  'offsets given twice, once in escapes': [
    'safetensors_duplicate_key',
    rawSafetensors(`{"a":{${A},"data\\u005foffsets":[0,4]}}`, 4),
  ],
  'metadata given twice': ['safetensors_duplicate_key', rawSafetensors('{"__metadata__":{},"__metadata__":{}}')],
  'metadata given twice, once in escapes': [
    'safetensors_duplicate_key',
    rawSafetensors('{"__metadata__":{},"__metadat\\u0061__":{}}'),
  ],
  'a metadata key given twice': [
    'safetensors_duplicate_key',
    rawSafetensors('{"__metadata__":{"format":"pt","format":"np"}}'),
  ],
  'metadata that is null': ['safetensors_metadata', rawSafetensors('{"__metadata__":null}')],
  'metadata that is a tensor': ['safetensors_metadata', rawSafetensors(`{"__metadata__":{${A}}}`, 4)],
  'metadata with a number': ['safetensors_metadata', rawSafetensors('{"__metadata__":{"a":1}}')],
  'an entry that is null': ['safetensors_entry', rawSafetensors('{"a":null}')],
  'an entry as a list': ['safetensors_entry', rawSafetensors('{"a":["F32",[1],[0,4]]}', 4)],
  'an entry without dtype': ['safetensors_entry', rawSafetensors('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4)],
  'an entry without shape': ['safetensors_entry', rawSafetensors('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4)],
  'an entry without offsets': ['safetensors_entry', rawSafetensors('{"a":{"dtype":"F32","shape":[1]}}', 4)],
  'an entry with a key that only some readers know': ['safetensors_entry', rawSafetensors(`{"a":{${A},"x":0}}`, 4)],
  'a dtype that is a number': ['safetensors_entry', rawSafetensors(entry('[1]', '[0,4]', '32'), 4)],
  'a shape that is a number': ['safetensors_shape', rawSafetensors(entry('1', '[0,4]'), 4)],
  'a negative size': ['safetensors_shape', rawSafetensors(entry('[-1]', '[0,4]'), 4)],
  'minus zero': ['safetensors_shape', rawSafetensors(entry('[-0]', '[0,0]'))],
  'a size with a fraction': ['safetensors_shape', rawSafetensors(entry('[1.0]', '[0,4]'), 4)],
  'a size with an exponent': ['safetensors_shape', rawSafetensors(entry('[1e0]', '[0,4]'), 4)],
  'a size as a string': ['safetensors_shape', rawSafetensors(entry('["1"]', '[0,4]'), 4)],
  'a size of 2^53, which is not exact': ['safetensors_shape', rawSafetensors(entry('[9007199254740992]', '[0,4]'), 4)],
  'a size of hundreds of digits': ['safetensors_shape', rawSafetensors(entry(`[${'9'.repeat(400)}]`, '[0,4]'), 4)],
  'more dimensions than any framework has': [
    'safetensors_shape',
    rawSafetensors(entry(`[${Array(65).fill(1)}]`, '[0,4]'), 4),
  ],
  'sizes whose product wraps round to the span': [
    'safetensors_shape_overflow',
    rawSafetensors(entry('[4294967296,4294967296]', '[0,0]')),
  ],
  'sizes whose product overflows before a zero': [
    'safetensors_shape_overflow',
    rawSafetensors(entry('[4294967296,4294967296,0]', '[0,0]')),
  ],
  'an element count that fits and a byte count that does not': [
    'safetensors_shape_overflow',
    rawSafetensors(entry('[4503599627370496]', '[0,0]')),
  ],
  'offsets that are one number': ['safetensors_offsets', rawSafetensors(entry('[1]', '[4]'), 4)],
  'three offsets': ['safetensors_offsets', rawSafetensors(entry('[1]', '[0,4,8]'), 4)],
  'a negative offset': ['safetensors_offsets', rawSafetensors(entry('[2]', '[-4,4]'), 4)],
  'an offset of 2^64': ['safetensors_offsets', rawSafetensors(entry('[1]', '[18446744073709551616,4]'), 4)],
  'data that does not start at once, to hide bytes': ['safetensors_offsets', rawSafetensors(entry('[1]', '[4,8]'), 8)],
  'an end before its begin': [
    'safetensors_offsets',
    rawSafetensors(`{"a":{${A}},"b":${entry('[0]', '[4,0]').slice(5)}`, 4),
  ],
  'a hole between two tensors': [
    'safetensors_offsets',
    rawSafetensors(`{"a":{${A}},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, 12),
  ],
  'two tensors over the same bytes': ['safetensors_offsets', rawSafetensors(`{"a":{${A}},"b":{${A}}}`, 4)],
  'two tensors that overlap': [
    'safetensors_offsets',
    rawSafetensors(`{"a":{${A}},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`, 6),
  ],
  'a span shorter than the shape, to read beyond it': ['safetensors_span', rawSafetensors(entry('[2]', '[0,4]'), 4)],
  'a span longer than the shape': ['safetensors_span', rawSafetensors(entry('[1]', '[0,8]'), 8)],
  'a file shorter than its tensors': ['safetensors_length', rawSafetensors(`{"a":{${A}}}`, 3)],
  'a payload after the last tensor': ['safetensors_length', rawSafetensors(`{"a":{${A}}}`, 5)],
  'a payload in a file without tensors': ['safetensors_length', rawSafetensors('{}', 1)],
  'more tensors than the limit': [
    'safetensors_too_many_tensors',
    rawSafetensors(`{"a":{${A}},"b":{${B}}}`, 8),
    { maxTensors: 1 },
  ],
  'an empty name': ['safetensors_name', rawSafetensors(`{"":{${A}}}`, 4)],
  'a name of more bytes than the limit, though not of more characters': [
    'safetensors_name',
    rawSafetensors(`{"éé":{${A}}}`, 4),
    { maxNameBytes: 3 },
  ],
};

for (const [attack, [code, file, limits]] of Object.entries(ATTACKS)) {
  test(`${code} stops ${attack}`, () => {
    refused(file, code, limits);
  });
}

for (const dtype of [
  'F8_E4M3',
  'F8_E5M2',
  'F8_E8M0',
  'F4',
  'F6_E2M3',
  'C64',
  'f32',
  'F128',
  '',
  '__proto__',
  'toString',
]) {
  test(`dtype_refused names the tensor and its dtype ${JSON.stringify(dtype)}`, () => {
    const error = refused(rawSafetensors(entry('[8]', '[0,4]', JSON.stringify(dtype)), 4), 'dtype_refused');
    assert.deepEqual(error.facts, { tensor: 'a', dtype });
    assert.ok(error.detail.includes(JSON.stringify(dtype)) && error.detail.includes('"a"'));
  });
}

test('lists nested 100,000 deep do not overflow the stack', () => {
  refused(rawSafetensors(entry('['.repeat(100_000), '[0,4]')), 'safetensors_header_not_json');
});

test('a number of 20 million digits is refused without a stack of its length', () => {
  refused(rawSafetensors(entry(`[${'1'.repeat(20_000_000)}]`, '[0,4]')), 'safetensors_shape');
});

test('a dtype of 20 million characters does not come back whole in the error', () => {
  const error = refused(rawSafetensors(entry('[1]', '[0,4]', `"${'x'.repeat(20_000_000)}"`), 4), 'dtype_refused');
  assert.ok(error.detail.length < 1000 && JSON.stringify(error.facts).length < 1000);
});

test('a name of 20 million characters does not come back whole in the error', () => {
  const error = refused(rawSafetensors(`{"${'x'.repeat(20_000_000)}":{${A}}}`, 4), 'safetensors_name');
  assert.ok(error.detail.length < 1000 && JSON.stringify(error.facts).length < 1000);
});
