/** Look-alikes, encoded bodies and pickles by content: each is refused, and nothing of it is stored. */
import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { family, singleFile } from '../helpers/model-files.js';
import { type Json, problemOf, testServer } from '../helpers/server.js';
import { torchZip, zipOf } from '../helpers/zip.js';

const server = await testServer();
after(() => server.close());
const files = singleFile(family(1).base);
afterEach(async () => assert.deepEqual(await server.stored(), []));

/** Full width, Cyrillic, combining, invisible, right to left, dotless, ligature. */
const LOOK_ALIKES = [
  'ｂase',
  'bаse',
  'base\u0301',
  'ba\u200bse',
  '\u202ebase',
  'base\u0131',
  'ﬁne',
  'base\u0000',
  '․․',
  'a／b',
];

test('look-alikes of a name are no names, in forms, addresses and requests', async () => {
  for (const name of LOOK_ALIKES) {
    const uploaded = (await (await server.upload(name, files)).json()) as Json;
    assert.equal(uploaded.code, 'invalid_name', name);
    const address = `/v1/checkpoints/${encodeURIComponent(name)}`;
    await server.refuse('invalid_request', 400, 'GET', address);
    await server.refuse('invalid_request', 400, 'PUT', `${address}/files/model.safetensors`, { body: 'x' });
    const file = encodeURIComponent(`${name}.safetensors`);
    await server.refuse('invalid_name', 400, 'PUT', `/v1/checkpoints/base/files/${file}`, { body: 'x' });
    const json = { base: 'base', tasks: [{ name, checkpoint: 'base' }] };
    await server.refuse('invalid_request', 400, 'POST', '/v1/merges/plan', { json });
  }
});

test('no route takes an encoded body, and nothing is unpacked', async () => {
  const body = gzipSync(JSON.stringify({ base: 'base', tasks: [{ name: 't', checkpoint: 'base' }] }));
  const routes = ['merges', 'merges/plan', 'batches', 'jobs', 'checkpoints'];
  for (const encoding of ['gzip', 'br', 'deflate', 'zstd', 'gzip, identity', 'GZIP']) {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    for (const route of routes) {
      await server.refuse('unsupported_media_type', 415, 'POST', `/v1/${route}`, { body, headers });
    }
    const path = '/v1/checkpoints/base/files/model.safetensors';
    await server.refuse('unsupported_media_type', 415, 'PUT', path, { body, headers });
  }
  const headers = { 'content-type': 'application/json', 'content-encoding': 'identity' };
  const plain = JSON.stringify({ base: 'base', tasks: [{ name: 't', checkpoint: 'base' }] });
  await server.refuse('unknown_checkpoint', 404, 'POST', '/v1/merges/plan', { body: plain, headers });
});

test('no refusal is much longer than what can be read of it, whatever was sent', async () => {
  const long = 'x'.repeat(2_000_000);
  const tasks = [{ name: 't', checkpoint: 'base' }];
  const many = Array.from({ length: 1_000 }, (_, i) => i);
  const requests: [path: string, json: unknown][] = [
    ['merges', { base: 'base', tasks, [long]: 1 }],
    ['merges', { base: 'base', tasks, ...Object.fromEntries(many.map((i) => [`${i}${'k'.repeat(2_000)}`, 1])) }],
    ['jobs', { type: long }],
    ['merges', { base: 'base', tasks, method: { type: 'ties', [long]: 1 } }],
    ['merges', { base: 'base', tasks, method: { type: 'adamerging', coefficients: { [long]: 'x', t: 1 } } }],
    // A thousand merges, each refused, each with the same large parameter.
    ['batches', { template: { base: 'base', tasks }, grid: { methods: [{ type: 'ties', junk: long, lambda: many }] } }],
  ];
  for (const [route, json] of requests) {
    const response = await server.call('POST', `/v1/${route}`, { json });
    const text = await response.text();
    assert.equal((JSON.parse(text) as Json).code, 'invalid_request');
    assert.ok(text.length < 300_000, `${route}: ${text.length}`);
  }
  const weight_map = { ['n'.repeat(2_000_000)]: 'a.safetensors' };
  const index = { 'model.safetensors.index.json': JSON.stringify({ weight_map }), 'a.safetensors': 'x' };
  const answer = await (await server.upload('base', index)).text();
  assert.ok(answer.length < 10_000, `${answer.length}`);
});

test('pickles and archives are refused by their content, whatever they are called and however they come', async () => {
  const rest = Buffer.alloc(64, 1);
  const contents = {
    pickle_refused: [torchZip(), Buffer.concat([Buffer.of(0x80, 2), rest])],
    archive_refused: [zipOf('model.safetensors'), gzipSync(rest)],
  } as const;
  for (const [code, files] of Object.entries(contents)) {
    for (const content of files) {
      for (const name of [
        'model.safetensors',
        'pytorch_model.bin',
        'optimizer.pt',
        'training_args.bin',
        'tokenizer.json',
      ]) {
        const form = { 'config.json': '{}', [name]: content };
        const problem = await problemOf(
          await server.upload('base', form),
          code as 'pickle_refused',
          422,
          server.dataDir,
        );
        assert.equal(problem.file, name);
        assert.match(String(problem.detail), /save_file/);
        const path = `/v1/checkpoints/base/files/${name}`;
        await server.refuse(code as 'pickle_refused', 422, 'PUT', path, { body: content });
      }
    }
  }
});
