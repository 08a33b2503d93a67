/** Every limit of a checkpoint, set lower and set higher, in every way that a checkpoint comes in. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FORMAT_LIMITS, type FormatLimit } from '../../src/checkpoint/limits.js';
import type { ErrorCode } from '../../src/errors.js';
import { MAX_TASKS } from '../../src/merge/max-tasks.js';
import { singleFile } from '../helpers/model-files.js';
import { f32, rawSafetensors, safetensorsFile } from '../helpers/safetensors-file.js';
import { problemOf, type TestServer, testServer } from '../helpers/server.js';

type Files = Record<string, string | Uint8Array>;
interface Case {
  readonly limit: FormatLimit;
  readonly low: number;
  readonly code: ErrorCode;
  /** A checkpoint that has exactly so much of what is limited. */
  make(size: number): Files;
}

const header = (entries: object) => JSON.stringify(entries);
const EMPTY = { dtype: 'F32', shape: [0], data_offsets: [0, 0] };
const upTo = (size: number) => Array.from({ length: size }, (_, i) => i);
const model = safetensorsFile([f32('w', [1])]);

const CASES: Record<string, Case> = {
  'bytes of a header': {
    limit: 'maxHeaderBytes',
    low: 400,
    code: 'safetensors_header_too_large',
    make: (size) => ({ 'model.safetensors': rawSafetensors(header({ w: EMPTY }).padEnd(size)) }),
  },
  'tensors of a header': {
    limit: 'maxTensors',
    low: 3,
    code: 'safetensors_too_many_tensors',
    make: (size) => ({
      'model.safetensors': rawSafetensors(header(Object.fromEntries(upTo(size).map((i) => [`t${i}`, EMPTY])))),
    }),
  },
  'tensors of an index': {
    limit: 'maxTensors',
    low: 3,
    code: 'safetensors_too_many_tensors',
    make(size) {
      const names = upTo(size).map((i) => `t${i}`);
      const tensors = rawSafetensors(header(Object.fromEntries(names.map((name) => [name, EMPTY]))));
      const weight_map = Object.fromEntries(names.map((name) => [name, 'a.safetensors']));
      return { 'model.safetensors.index.json': JSON.stringify({ weight_map }), 'a.safetensors': tensors };
    },
  },
  'bytes of a name': {
    limit: 'maxNameBytes',
    low: 20,
    code: 'safetensors_name',
    make: (size) => ({ 'model.safetensors': rawSafetensors(header({ ['n'.repeat(size)]: EMPTY })) }),
  },
  'dimensions of a tensor': {
    limit: 'maxDimensions',
    low: 2,
    code: 'safetensors_shape',
    make: (size) => ({ 'model.safetensors': safetensorsFile([f32('w', [1], Array(size).fill(1))]) }),
  },
  'shards of an index': {
    limit: 'maxShards',
    low: 2,
    code: 'too_large',
    make(size) {
      const shards = upTo(size).map((i) => `${i}.safetensors`);
      const weight_map = Object.fromEntries(shards.map((file) => [`t${file}`, file]));
      return {
        'model.safetensors.index.json': JSON.stringify({ weight_map }),
        ...Object.fromEntries(shards.map((file) => [file, rawSafetensors(header({ [`t${file}`]: EMPTY }))])),
      };
    },
  },
  'files of a checkpoint': {
    limit: 'maxFiles',
    low: 4,
    code: 'too_large',
    make: (size) => ({
      'model.safetensors': model,
      ...Object.fromEntries(upTo(size - 1).map((i) => [`note-${i}.txt`, 'x'])),
    }),
  },
};

const root = await realpath(await mkdtemp(join(tmpdir(), 'emr-limits-')));
const LOW_JSON = 1_000;
const low = await testServer({
  EMR_FILE_ROOTS: root,
  EMR_MAX_JSON_BYTES: String(LOW_JSON),
  EMR_MAX_TASKS: '2',
  EMR_MAX_PLAN_CELLS: '5',
  EMR_MAX_BATCH_CELLS: '6',
  ...Object.fromEntries(Object.values(CASES).map((one) => [FORMAT_LIMITS[one.limit].variable, String(one.low)])),
});
const high = await testServer({
  EMR_FILE_ROOTS: root,
  EMR_MAX_JSON_BYTES: String(5 * 2 ** 20),
  EMR_MAX_TASKS: String(MAX_TASKS.ceiling),
  ...Object.fromEntries(Object.values(FORMAT_LIMITS).map(({ variable, usual }) => [variable, String(usual + 1)])),
});
after(async () => {
  await low.close();
  await high.close();
  await rm(root, { recursive: true, force: true });
});

/** The ways in: each sends a checkpoint and has the answer that decides. */
const WAYS: Record<string, (server: TestServer, name: string, files: Files) => Promise<Response>> = {
  'a form': (server, name, files) => server.upload(name, files),
  async put(server, name, files) {
    for (const [file, body] of Object.entries(files)) {
      await server.expect(200, 'PUT', `/v1/checkpoints/${name}/files/${file}`, { body });
    }
    return server.call('POST', `/v1/checkpoints/${name}/complete`);
  },
  async registration(server, name, files) {
    const folder = join(root, name);
    await mkdir(folder);
    for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
    return server.call('POST', '/v1/checkpoints', { json: { name, source: { uri: `file://${folder}` } } });
  },
};

for (const [at, [what, { limit, low: lowest, code, make }]] of Object.entries(CASES).entries()) {
  const { variable, usual } = FORMAT_LIMITS[limit];
  for (const [way, send] of Object.entries(WAYS)) {
    test(`${what}: ${variable} holds for ${way}`, async () => {
      const name = `${at}-${way.replace(' ', '-')}`;
      const accepted = await send(low, `${name}-in`, make(lowest));
      assert.equal(accepted.status, 201, await accepted.text());
      const refused = await send(low, `${name}-out`, make(lowest + 1));
      const problem = await problemOf(refused, code, code === 'too_large' ? 413 : 422, low.dataDir);
      assert.deepEqual([problem.limit, problem.setting], [lowest, variable]);
      assert.ok((problem.detail as string).includes(`${lowest} (${variable})`), problem.detail as string);
    });
  }

  test(`${what}: a server with a higher ${variable} takes what others refuse`, async () => {
    const files = make(usual + 1);
    const response = await WAYS.registration!(high, `${at}-raised`, files);
    assert.equal(response.status, 201, (await response.text()).slice(0, 1000));
  });
}

test('a body in JSON', async () => {
  const body = (bytes: number) => JSON.stringify({ name: 'x' }).padEnd(bytes);
  const send = (bytes: number) => ({ body: body(bytes), headers: { 'content-type': 'application/json' } });
  await low.refuse('invalid_request', 400, 'POST', '/v1/merges', send(LOW_JSON));
  const problem = await low.refuse('too_large', 413, 'POST', '/v1/merges', send(LOW_JSON + 1));
  assert.deepEqual([problem.limit, problem.setting], [LOW_JSON, 'EMR_MAX_JSON_BYTES']);
  await high.refuse('invalid_request', 400, 'POST', '/v1/merges', send(4 * 2 ** 20 + 1));
});

test('tasks of a merge', async () => {
  const tasks = (count: number) => upTo(count).map((t) => ({ name: `t${t}`, checkpoint: 'many' }));
  for (const server of [low, high]) await server.upload('many', singleFile([f32('w', [1, -2, 3.5])]));
  assert.equal((await low.merge({ base: 'many', tasks: tasks(2) })).state, 'succeeded');
  for (const path of ['/v1/merges', '/v1/merges/plan']) {
    const problem = await low.refuse('too_large', 413, 'POST', path, { json: { base: 'many', tasks: tasks(3) } });
    assert.deepEqual([problem.tasks, problem.limit, problem.setting], [3, 2, 'EMR_MAX_TASKS']);
  }
  const json = { base: 'many', tasks: tasks(MAX_TASKS.ceiling + 1) };
  await high.refuse('invalid_request', 400, 'POST', '/v1/merges', { json });
});

test('names of tensors times checkpoints, of a merge and of a batch', async () => {
  await low.upload('one-name', singleFile([f32('v', [1])]));
  await low.upload('two-names', singleFile([f32('v', [1]), f32('w', [1])]));
  const merge = (base: string, checkpoint: string, count: number) => ({
    base,
    tasks: upTo(count).map((t) => ({ name: `t${t}`, checkpoint })),
  });
  await low.expect(200, 'POST', '/v1/merges/plan', { json: merge('one-name', 'two-names', 1) });
  const json = merge('one-name', 'two-names', 2);
  for (const path of ['/v1/merges', '/v1/merges/plan']) {
    const { cells, limit, setting } = await low.refuse('too_large', 413, 'POST', path, { json });
    assert.deepEqual([cells, limit, setting], [6, 5, 'EMR_MAX_PLAN_CELLS']);
  }
  const merges = (counts: number[]) => ({ json: { merges: counts.map((one) => merge('one-name', 'one-name', one)) } });
  const { cells, limit, setting } = await low.refuse('too_large', 413, 'POST', '/v1/batches', merges([1, 2, 1]));
  assert.deepEqual([cells, limit, setting], [7, 6, 'EMR_MAX_BATCH_CELLS']);
  await low.expect(202, 'POST', '/v1/batches', merges([1, 2]));
});

test('as many tasks as can be set', async () => {
  const one = f32('w', [0.25, -3, 8]);
  await high.upload('zero', singleFile([f32('w', [0, 0, 0])]));
  await high.upload('one', singleFile([one]));
  const tasks = upTo(MAX_TASKS.ceiling).map((t) => ({ name: `t${t}`, checkpoint: 'one' }));
  const { id, state, error } = await high.merge({ base: 'zero', tasks });
  assert.equal(state, 'succeeded', JSON.stringify(error));
  const last = await high.call('GET', `/v1/merges/${id}/tasks/${tasks.at(-1)!.name}/model.safetensors`);
  assert.deepEqual(Buffer.from(await last.arrayBuffer()).subarray(-12), Buffer.from(one.data!));
});

test('what came in by a raised limit is merged and served, whatever the limit is later', async () => {
  const name = 'n'.repeat(FORMAT_LIMITS.maxNameBytes.usual + 1);
  const shape = Array(FORMAT_LIMITS.maxDimensions.usual + 1).fill(1);
  const files = () => singleFile([f32(name, [1, 2, 3]), f32('deep', [1], shape)]);
  for (const checkpoint of ['base', 'tuned']) assert.equal((await high.upload(checkpoint, files())).status, 201);
  const merge = await high.merge({ base: 'base', tasks: [{ name: 't', checkpoint: 'tuned' }] });
  assert.equal(merge.state, 'succeeded', JSON.stringify(merge.error));
  const usual = await testServer({ EMR_DATA_DIR: high.dataDir });
  try {
    const model = await usual.call('GET', `/v1/merges/${merge.id}/tasks/t/model.safetensors`);
    assert.equal(model.status, 200, model.ok ? '' : await model.text());
    assert.equal((await model.arrayBuffer()).byteLength, files()['model.safetensors']!.length);
  } finally {
    await usual.close();
  }
});
