import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../src/checkpoint/limits.js';
import { parseHeader, readHeader } from '../../../src/checkpoint/safetensors-read.js';
import { EmrError } from '../../../src/errors.js';
import { f32, memoryReader, rawSafetensors, safetensorsFile } from '../../helpers/safetensors-file.js';

const parse = (header: string, data: number) => {
  const file = rawSafetensors(header, data);
  return parseHeader(file, file.byteLength, DEFAULT_LIMITS);
};

test('gives tensors in the order of their bytes, with absolute offsets, whatever the order of the keys', () => {
  const header =
    '{"b":{"data_offsets":[4,6],"shape":[1,1],"dtype":"BF16"},"__metadata__":{"k":"v"},' +
    '"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}';
  const parsed = parse(header, 6);
  const dataStart = 8 + header.length;
  assert.deepEqual(parsed.tensors, [
    { name: 'a', dtype: 'F32', shape: [], offset: dataStart, bytes: 4 },
    { name: 'b', dtype: 'BF16', shape: [1, 1], offset: dataStart + 4, bytes: 2 },
  ]);
  assert.equal(parsed.dataStart, dataStart);
  assert.deepEqual({ ...parsed.metadata }, { k: 'v' });
});

test('takes a file without tensors, and white space as padding', () => {
  assert.deepEqual(parse('{}', 0).tensors, []);
  assert.deepEqual(parse('{} \n\t\r', 0).tensors, []);
});

test('takes empty tensors, before, between and after others', () => {
  const empty = (name: string, at: number) => `"${name}":{"dtype":"I64","shape":[0,3],"data_offsets":[${at},${at}]}`;
  const full = '"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';
  const { tensors } = parse(`{${full},${empty('a', 2)},${empty('b', 0)},${empty('c', 0)}}`, 2);
  assert.deepEqual(
    tensors.map(({ name, bytes }) => [name, bytes]),
    [
      ['b', 0],
      ['c', 0],
      ['x', 2],
      ['a', 0],
    ],
  );
});

test('names of Object.prototype are names like any other', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
  const entries = names.map((name, i) => `"${name}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`);
  const parsed = parse(`{"__metadata__":{"__proto__":"p","constructor":"c"},${entries}}`, names.length);
  assert.deepEqual(
    parsed.tensors.map(({ name }) => name),
    names,
  );
  assert.equal(Object.getPrototypeOf(parsed.metadata), null);
  assert.deepEqual(Object.entries(parsed.metadata), [
    ['__proto__', 'p'],
    ['constructor', 'c'],
  ]);
});

test('reads escapes in names', () => {
  const { tensors } = parse('{"\\u00e9\\ud83d\\ude00\\/\\"\\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1);
  assert.equal(tensors[0]?.name, 'é\u{1f600}/"\n');
});

test('offsets beyond 2^32 and up to 2^53 are exact', () => {
  const elements = 2 ** 50 - 1;
  const header = `{"a":{"dtype":"F64","shape":[${elements}],"data_offsets":[0,${elements * 8}]}}`;
  const file = rawSafetensors(header);
  const parsed = parseHeader(file, file.byteLength + elements * 8, DEFAULT_LIMITS);
  assert.equal(parsed.tensors[0]?.bytes, elements * 8);
});

test('parses from a view that does not begin at its buffer', () => {
  const file = safetensorsFile([f32('a', [1, 2])]);
  const shifted = Buffer.concat([Buffer.from('xyz'), file]).subarray(3);
  assert.deepEqual(
    parseHeader(shifted, shifted.byteLength, DEFAULT_LIMITS),
    parseHeader(file, file.byteLength, DEFAULT_LIMITS),
  );
});

test('reads a small header at once and a large one in two reads, and the data never', async () => {
  const small = memoryReader(safetensorsFile([f32('a', Array(100_000).fill(1))]));
  assert.equal((await readHeader(small, DEFAULT_LIMITS)).tensors.length, 1);
  assert.equal(small.reads, 1);

  const tensors = Array.from({ length: 2000 }, (_, i) => f32(`layer.${i}.weight`, [i]));
  const file = safetensorsFile(tensors);
  const large = memoryReader(file);
  assert.deepEqual(await readHeader(large, DEFAULT_LIMITS), parseHeader(file, file.byteLength, DEFAULT_LIMITS));
  assert.equal(large.reads, 2);
});

test('an absurd length is refused before memory is taken for it', async () => {
  const reader = memoryReader(rawSafetensors('{}', 0, 90_000_000n));
  await assert.rejects(
    readHeader(reader, DEFAULT_LIMITS),
    (error) => error instanceof EmrError && error.code === 'safetensors_header_too_large',
  );
  assert.equal(reader.reads, 1);
});
