import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS, type FormatLimits } from '../../src/checkpoint/limits.js';
import { parseIndex, readIndex } from '../../src/checkpoint/shard-index.js';
import { EmrError, type ErrorCode } from '../../src/errors.js';
import { memoryReader } from '../helpers/safetensors-file.js';

const refusedAs = (code: ErrorCode) => (error: unknown) => error instanceof EmrError && error.code === code;

const INVALID: Record<string, string | Uint8Array> = {
  'an empty file': '',
  'bytes that are not UTF-8': Buffer.from([0x7b, 0xff, 0x7d]),
  'a byte order mark': '\ufeff{"weight_map":{"a":"a.safetensors"}}',
  'a list': '[]',
  'a text cut short': '{"weight_map":{"a":"a.safetensors"}',
  'a second value': '{"weight_map":{"a":"a.safetensors"}}{}',
  'no weight_map': '{"metadata":{"total_size":4}}',
  'a weight_map that is a list': '{"weight_map":["a.safetensors"]}',
  'a weight_map without tensors': '{"weight_map":{}}',
  'a shard that is a number': '{"weight_map":{"a":1}}',
  'a shard that is null': '{"weight_map":{"a":null}}',
  'two weight_maps, of which readers pick different ones':
    '{"weight_map":{"a":"a.safetensors"},"weight_map":{"a":"b.safetensors"}}',
  'two places for one tensor': '{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}',
  'two places for one tensor, one in escapes': '{"weight_map":{"a":"a.safetensors","\\u0061":"b.safetensors"}}',
  'two weight_maps, one in escapes': '{"weight_map":{"a":"a.safetensors"},"weight\\u005fmap":{"a":"b.safetensors"}}',
  'a duplicate deep in the metadata': '{"metadata":{"x":[{"a":1,"a":2}]},"weight_map":{"a":"a.safetensors"}}',
  'metadata nested 100,000 deep, to overflow the stack': `{"metadata":${'['.repeat(100_000)}`,
};

for (const [attack, text] of Object.entries(INVALID)) {
  test(`index_invalid stops ${attack}`, () => {
    assert.throws(() => parseIndex(Buffer.from(text as Uint8Array), DEFAULT_LIMITS), refusedAs('index_invalid'));
  });
}

test('an index may name so many tensors and shards', () => {
  const index = Buffer.from('{"weight_map":{"a":"a.safetensors","b":"b.safetensors"}}');
  const limited = (limits: Partial<FormatLimits>) => () => parseIndex(index, { ...DEFAULT_LIMITS, ...limits });
  assert.throws(limited({ maxTensors: 1 }), refusedAs('safetensors_too_many_tensors'));
  assert.throws(limited({ maxShards: 1 }), refusedAs('too_large'));
  assert.equal(limited({ maxTensors: 2, maxShards: 2 })().size, 2);
});

test('safetensors_name stops a name that would come back whole in every refusal about it', () => {
  const index = Buffer.from(JSON.stringify({ weight_map: { ['n'.repeat(1025)]: 'a.safetensors' } }));
  assert.throws(() => parseIndex(index, DEFAULT_LIMITS), refusedAs('safetensors_name'));
});

test('index_invalid stops an index above the size limit before it is read', async () => {
  const reader = { ...memoryReader(Buffer.alloc(0)), bytes: DEFAULT_LIMITS.maxHeaderBytes + 1 };
  await assert.rejects(readIndex(reader, DEFAULT_LIMITS), refusedAs('index_invalid'));
  assert.equal(reader.reads, 0);
});

const SHARD_NAMES: Record<string, string> = {
  'the folder above': '../a.safetensors',
  'a folder below': 'b/a.safetensors',
  'an absolute path': '/a.safetensors',
  'a Windows path': '..\\a.safetensors',
  'a Windows drive or an alternate stream': 'c:a.safetensors',
  'a name with a zero byte': 'a\0.safetensors',
  'a name with a line feed': 'a\n.safetensors',
  'a name with a C1 control character': 'a\u0085.safetensors',
  'a hidden file': '.safetensors',
  'another kind of file': 'pytorch_model.bin',
  'the index itself': 'model.safetensors.index.json',
  'an empty name': '',
  'a name longer than file systems allow': `${'a'.repeat(250)}.safetensors`,
};

for (const [attack, shard] of Object.entries(SHARD_NAMES)) {
  test(`index_shard_name stops ${attack}`, () => {
    const index = Buffer.from(JSON.stringify({ weight_map: { a: shard } }));
    assert.throws(() => parseIndex(index, DEFAULT_LIMITS), refusedAs('index_shard_name'));
  });
}

test('metadata may hold anything, and total_size any number', () => {
  for (const metadata of ['{"total_size":1.5e10}', '{"total_size":-0}', 'null', '[true,false,{"a":{}}]', '"x"']) {
    const index = Buffer.from(`{"metadata":${metadata},"weight_map":{"__proto__":"a.safetensors"},"x":[1,[]]} \n`);
    assert.deepEqual([...parseIndex(index, DEFAULT_LIMITS)], [['__proto__', 'a.safetensors']]);
  }
});
