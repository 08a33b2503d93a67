import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../src/checkpoint/limits.js';
import { type CheckpointSource, readCheckpointFiles as readFiles } from '../../../src/checkpoint/sharded.js';
import { EmrError, type ErrorCode } from '../../../src/errors.js';
import { f32, memoryFolder, memoryReader, safetensorsFile } from '../../helpers/safetensors-file.js';

const readCheckpointFiles = (files: readonly CheckpointSource[]) => readFiles(files, DEFAULT_LIMITS);

const INDEX = 'model.safetensors.index.json';
const FIRST = 'model-00001-of-00002.safetensors';
const SECOND = 'model-00002-of-00002.safetensors';

const index = (weightMap: Record<string, string>) =>
  JSON.stringify({ metadata: { total_size: 12 }, weight_map: weightMap });

const SHARDED = {
  [FIRST]: safetensorsFile([f32('b', [1]), f32('a', [2, 3])]),
  [SECOND]: safetensorsFile([f32('\u{1f600}', [4]), f32('\uff41', [5])]),
  [INDEX]: index({ a: FIRST, b: FIRST, '\uff41': SECOND, '\u{1f600}': SECOND }),
  'config.json': '{}',
};

async function refused(files: Record<string, string | Uint8Array>, code: ErrorCode): Promise<EmrError> {
  try {
    await readCheckpointFiles(memoryFolder(files));
  } catch (error) {
    assert.ok(error instanceof EmrError, String(error));
    assert.equal(error.code, code, error.detail);
    return error;
  }
  throw new assert.AssertionError({ message: `accepted, and ${code} was expected` });
}

test('one safetensors file of any name is a checkpoint', async () => {
  const file = safetensorsFile([f32('b', [1]), f32('a', [2])]);
  const contents = await readCheckpointFiles(memoryFolder({ 'adapter.safetensors': file, 'config.json': '{}' }));
  assert.equal(contents.index, undefined);
  assert.deepEqual(contents.tensors, [
    { name: 'a', dtype: 'F32', shape: [1], offset: file.length - 8, bytes: 4, file: 'adapter.safetensors' },
    { name: 'b', dtype: 'F32', shape: [1], offset: file.length - 4, bytes: 4, file: 'adapter.safetensors' },
  ]);
});

test('shards and their index give all tensors, in UTF-8 byte order of their names', async () => {
  const contents = await readCheckpointFiles(memoryFolder(SHARDED));
  assert.equal(contents.index, INDEX);
  assert.deepEqual(
    contents.tensors.map(({ name, file }) => [name, file]),
    [
      ['a', FIRST],
      ['b', FIRST],
      ['\uff41', SECOND],
      ['\u{1f600}', SECOND],
    ],
  );
});

test('an index of another name, and a single shard, are taken', async () => {
  const { index: found } = await readCheckpointFiles(
    memoryFolder({
      'text.fp16.safetensors.index.json': index({ a: 'x.safetensors' }),
      'x.safetensors': safetensorsFile([f32('a', [1])]),
    }),
  );
  assert.equal(found, 'text.fp16.safetensors.index.json');
});

test('files in folders below are not looked at', async () => {
  const file = safetensorsFile([f32('a', [1])]);
  const folder = memoryFolder({ 'model.safetensors': file, 'onnx/model.safetensors': file, 'old/pytorch.bin': '' });
  assert.equal((await readCheckpointFiles(folder)).tensors.length, 1);
});

const one = safetensorsFile([f32('a', [1])]);
const REFUSED: Record<string, [ErrorCode, Record<string, string | Uint8Array>]> = {
  'no files': ['checkpoint_empty', {}],
  'files without weights': ['checkpoint_empty', { 'config.json': '{}' }],
  'two safetensors files without an index': ['checkpoint_ambiguous', { 'a.safetensors': one, 'b.safetensors': one }],
  'two indexes': ['checkpoint_ambiguous', { ...SHARDED, 'other.safetensors.index.json': SHARDED[INDEX] }],
  'an index without its shards': ['index_shard_missing', { [INDEX]: SHARDED[INDEX] }],
  'an index that names a shard that is not there': [
    'index_shard_missing',
    { ...SHARDED, [INDEX]: index({ a: 'gone.safetensors' }) },
  ],
  'a safetensors file that the index does not name': ['index_shard_unlisted', { ...SHARDED, 'x.safetensors': one }],
  'a tensor that its shard lacks': [
    'index_tensor_missing',
    { [INDEX]: index({ a: FIRST, gone: FIRST }), [FIRST]: one },
  ],
  'a tensor that the index lacks': [
    'index_tensor_unlisted',
    { ...SHARDED, [INDEX]: index({ a: FIRST, '\uff41': SECOND, '\u{1f600}': SECOND }) },
  ],
  'a tensor that lies in another shard than the index says': [
    'index_tensor_unlisted',
    { ...SHARDED, [INDEX]: index({ a: FIRST, b: SECOND, '\uff41': SECOND, '\u{1f600}': SECOND }) },
  ],
  'a tensor in two shards': [
    'index_tensor_unlisted',
    {
      [INDEX]: index({ a: FIRST, b: SECOND }),
      [FIRST]: one,
      [SECOND]: safetensorsFile([f32('a', [1]), f32('b', [1])]),
    },
  ],
  'a shard name that leads out of the folder': [
    'index_shard_name',
    { ...SHARDED, [INDEX]: index({ a: '../secret.safetensors' }) },
  ],
  'a shard that is malformed': ['safetensors_length', { ...SHARDED, [SECOND]: Buffer.concat([SHARDED[SECOND], one]) }],
};

for (const [what, [code, files]] of Object.entries(REFUSED)) {
  test(`refuses ${what} as ${code}`, async () => {
    await refused(files, code);
  });
}

test('an error about one file names it, in text and in facts', async () => {
  const error = await refused({ ...SHARDED, [SECOND]: Buffer.alloc(3) }, 'safetensors_too_short');
  assert.equal(error.facts.file, SECOND);
  assert.ok(error.detail.includes(SECOND));
});

test('pickles are recognised by name and the advice is to convert them', async () => {
  for (const name of ['pytorch_model.bin', 'model.pt', 'model.PTH', 'epoch=3.ckpt']) {
    const error = await refused({ [name]: '', 'config.json': '{}' }, 'checkpoint_empty');
    assert.ok(error.detail.includes(name) && error.detail.includes('save_file'), error.detail);
  }
});

test('of many shards only a few are open at once, and all are closed, also after an error', async () => {
  let open = 0;
  let most = 0;
  const source = (name: string, content: Uint8Array): CheckpointSource => ({
    name,
    async open() {
      most = Math.max(most, ++open);
      const reader = memoryReader(content);
      return { ...reader, close: async () => void open-- };
    },
  });
  const shards = Array.from({ length: 40 }, (_, i) => source(`${i}.safetensors`, safetensorsFile([f32(`t${i}`, [i])])));
  const map = Object.fromEntries(shards.map(({ name }, i) => [`t${i}`, name]));
  const folder = [...shards, source(INDEX, Buffer.from(index(map)))];
  assert.equal((await readCheckpointFiles(folder)).tensors.length, 40);
  assert.ok(most > 1 && most <= 8, `${most} were open at once`);
  assert.equal(open, 0);

  folder[17] = source('17.safetensors', Buffer.alloc(20));
  await assert.rejects(readCheckpointFiles(folder), EmrError);
  assert.equal(open, 0);
});
