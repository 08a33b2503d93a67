import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { foreignKind, HEAD_BYTES } from '../../../src/checkpoint/foreign.js';
import { f32, rawSafetensors, safetensorsFile } from '../../helpers/safetensors-file.js';
import { torchZip, zipOf } from '../../helpers/zip.js';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What Python's pickle.dumps({'lr': 0.1}, protocol) gives. */
const PICKLES = {
  2: '\x80\x02}q\x00X\x02\x00\x00\x00lrq\x01G?\xb9\x99\x99\x99\x99\x99\x9as.',
  3: '\x80\x03}q\x00X\x02\x00\x00\x00lrq\x01G?\xb9\x99\x99\x99\x99\x99\x9as.',
  4: '\x80\x04\x95\x12\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x02lr\x94G?\xb9\x99\x99\x99\x99\x99\x9as.',
  5: '\x80\x05\x95\x12\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x02lr\x94G?\xb9\x99\x99\x99\x99\x99\x9as.',
};

test('pickles of every binary protocol, and those in the archives of torch.save', () => {
  for (const [protocol, text] of Object.entries(PICKLES)) {
    assert.equal(foreignKind('optimizer.pt', latin1(text)), 'pickle', protocol);
  }
  assert.equal(foreignKind('training_args.bin', torchZip()), 'pickle');
  assert.equal(foreignKind('tokenizer.json', torchZip()), 'pickle');
});

test('archives and what is compressed', () => {
  const tar = Buffer.alloc(1024);
  tar.write('model.safetensors');
  tar.write('ustar', 257);
  const archives = {
    'a.zip': zipOf('model.safetensors'),
    'empty.zip': latin1(`PK\x05\x06${'\0'.repeat(18)}`),
    'a.npz': zipOf('arr_0.npy'),
    'a.gz': gzipSync('x'),
    'a.bz2': latin1('BZh91AY&SY'),
    'a.xz': latin1('\xfd7zXZ\x00\x00\x04\xe6'),
    'a.zst': latin1('\x28\xb5\x2f\xfd\x04\x58'),
    'a.lz4': latin1('\x04\x22\x4d\x18\x64'),
    'a.7z': latin1('7z\xbc\xaf\x27\x1c\x00\x04'),
    'a.rar': latin1('Rar!\x1a\x07\x01\x00'),
    'a.tar': tar,
  };
  for (const [name, begin] of Object.entries(archives)) {
    const content = Buffer.concat([begin, Buffer.alloc(9)]); // longer than what a safetensors file is known by
    assert.equal(foreignKind(name, begin), 'archive', name);
    assert.equal(foreignKind(name, content), 'archive', name);
    assert.equal(foreignKind('config.json', content.subarray(0, HEAD_BYTES)), 'archive', name);
    assert.equal(foreignKind('model.safetensors', content), 'archive', name);
  }
});

test('what models come with is neither', () => {
  const files: Record<string, Uint8Array> = {
    'config.json': Buffer.from('{"a": 1}'),
    'vocab.txt': Buffer.from('BZ\nPK\ncat\n'),
    'README.md': Buffer.from('---\nlicense: mit\n'),
    'spiece.model': latin1('\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00'),
    'preview.png': latin1('\x89PNG\r\n\x1a\n'),
    'empty.bin': Buffer.alloc(0),
    'short.bin': latin1('\x80'),
    'model.safetensors': safetensorsFile([f32('w', [1])]),
    'text.br': brotliCompressSync('x'), // has no mark
  };
  for (const [name, content] of Object.entries(files)) assert.equal(foreignKind(name, content), undefined, name);
});

test('a safetensors file is one whatever the length of its header, seen whole or in part', () => {
  for (const length of [0x0280, 0x0480, 0x8b1f]) {
    const file = rawSafetensors('{}'.padEnd(length));
    for (let seen = 0; seen < 20; seen++) {
      assert.equal(foreignKind('model.safetensors', file.subarray(0, seen)), undefined, `${length}: ${seen}`);
    }
  }
  assert.equal(foreignKind('model.safetensors', latin1(PICKLES[4])), 'pickle');
  assert.equal(foreignKind('model.safetensors', torchZip()), 'pickle');
});
