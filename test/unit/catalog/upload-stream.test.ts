import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { meterUpload } from '../../../src/catalog/upload-stream.js';
import { foreignKind } from '../../../src/checkpoint/foreign.js';
import { chunks, refused } from '../../helpers/stores.js';
import { zipOf } from '../../helpers/zip.js';

async function drain(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

test('a file passes unchanged, counted and hashed, in pieces of any size', async () => {
  const cases = fc.tuple(
    fc.uint8Array({ maxLength: 300 }).filter((bytes) => !foreignKind('config.json', bytes)),
    fc.integer({ min: 1, max: 70 }),
  );
  await fc.assert(
    fc.asyncProperty(cases, async ([bytes, size]) => {
      const { stream, result } = meterUpload('config.json', chunks(bytes, size), 300);
      assert.deepEqual(await drain(stream), Buffer.from(bytes));
      assert.deepEqual(result, { bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') });
    }),
  );
});

test('the limit is the last size that passes', async () => {
  const send = (length: number) => drain(meterUpload('f.txt', chunks(new Uint8Array(length), 4), 10).stream);
  assert.equal((await send(10)).byteLength, 10);
  const { facts } = await refused('too_large', () => send(11));
  assert.deepEqual(facts, { file: 'f.txt', limit: 10, setting: 'EMR_MAX_UPLOAD_BYTES' });
});

test('pickles and archives are refused under any name, in pieces of any size', async () => {
  const zip = zipOf('model.safetensors');
  const pickle = Buffer.from([0x80, 4, 0x95, 0, 0, 0, 0, 0, 0, 0]);
  for (const size of [1, 7, 1000]) {
    for (const file of ['model.safetensors', 'model.bin', 'tokenizer.json']) {
      const send = (bytes: Uint8Array) => drain(meterUpload(file, chunks(bytes, size), 1000).stream);
      const { detail, facts } = await refused('pickle_refused', () => send(pickle));
      assert.match(detail, /save_file/);
      assert.deepEqual(facts, { file });
      await refused('archive_refused', () => send(zip));
    }
  }
});

test('a header of 128 bytes is no pickle, though it starts with the same byte', async () => {
  const bytes = Buffer.alloc(8 + 128, ' ');
  bytes.writeBigUInt64LE(128n);
  bytes.write('{}', 8);
  assert.deepEqual(await drain(meterUpload('model.safetensors', chunks(bytes, 200), 1000).stream), bytes);
});

test('an error of the source is passed on as it is', async () => {
  const broken = new Error('gone');
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x');
    throw broken;
  }
  await assert.rejects(
    () => drain(meterUpload('f', source(), 10).stream),
    (error) => error === broken,
  );
});
