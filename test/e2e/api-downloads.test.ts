import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { family, floatsOf, type ReadTensor, readSafetensors, sharded, singleFile } from '../helpers/model-files.js';
import { type Json, testServer } from '../helpers/server.js';

const server = await testServer();
after(() => server.close());

const models = family(2);
const shards = sharded(models.tasks[1]!, 3);
await server.upload('base', singleFile(models.base));
await server.upload('one-file', singleFile(models.tasks[0]!, 'task a'));
await server.upload('in-shards', shards);
const tasks = [
  { name: 'a', checkpoint: 'one-file' },
  { name: 'b', checkpoint: 'in-shards' },
];
const merge = await server.merge({ name: 'm', base: 'base', tasks });
assert.equal(merge.state, 'succeeded');

const get = async (path: string) => {
  const response = await server.call('GET', `/v1/merges/m/${path}`);
  const body = Buffer.from(await response.arrayBuffer());
  assert.equal(response.status, 200, body.toString('utf8', 0, 500));
  assert.equal(Number(response.headers.get('content-length')), body.byteLength);
  return { headers: response.headers, body };
};
const model = async (query = '') => readSafetensors((await get(`tasks/a/model.safetensors${query}`)).body);
const shapes = (tensors: Iterable<readonly [string, { dtype: string; shape: readonly number[] }]>) =>
  [...tensors].map(([name, { dtype, shape }]) => [name, dtype, shape]).sort();
const bits = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

test('a model has the names, dtypes and shapes of its fine-tune, and its own tensors verbatim', async () => {
  const rebuilt = await model();
  const original = models.tasks[0]!;
  assert.deepEqual(shapes(rebuilt), shapes(original.map((tensor) => [tensor.name, tensor])));
  for (const { name, data } of original) {
    if (!['adapter', 'head.weight', 'steps', 'position_ids'].includes(name)) continue;
    assert.deepEqual(rebuilt.get(name)!.bytes, Buffer.from(data!), name);
  }
});

test('its merged tensors are base + λ·(M⊙u), to the bit, for every λ and scope', async () => {
  const unified = readSafetensors((await get('files/unified.safetensors')).body);
  const masks = readSafetensors((await get('files/tasks/a/mask.safetensors')).body);
  const report = await server.expect(200, 'GET', '/v1/merges/m/report');
  const figures = (report.tasks as Record<string, { rescalers: Json; tensors: Record<string, { rescalers: Json }> }>)
    .a!;
  const base = new Map(models.base.map((tensor) => [tensor.name, tensor]));
  for (const rescaler of ['global', 'tensor-mean', 'l2']) {
    for (const scope of ['model', 'tensor']) {
      const rebuilt = await model(`?rescaler=${rescaler}&scope=${scope}`);
      for (const name of ['layers.0.bias', 'layers.0.weight', 'scale', 'nothing']) {
        const of = scope === 'model' ? figures.rescalers : figures.tensors[name]!.rescalers;
        const lambda = Math.fround(of[rescaler.replace('-', '_')] as number);
        const u = floatsOf(unified.get(name)!);
        const mask = masks.get(name)!.bytes;
        const expected = floatsOf({ bytes: base.get(name)!.data! }).map((weight, i) =>
          (mask[i >> 3]! >> (i & 7)) & 1 ? weight + Math.fround(lambda * u[i]!) : weight,
        );
        assert.deepEqual(floatsOf(rebuilt.get(name)!), expected, `${name} ${rescaler} ${scope}`);
      }
    }
  }
  assert.equal(
    (await get('tasks/a/model.safetensors')).headers.get('etag'),
    await tagOf('?rescaler=global&scope=model'),
  );
});

test('the steps of EMR can be taken one by one, each with a tag of its own', async () => {
  const unified = readSafetensors((await get('files/unified.safetensors')).body);
  const masks = readSafetensors((await get('files/tasks/a/mask.safetensors')).body);
  const base = new Map(models.base.map((tensor) => [tensor.name, tensor]));
  for (const steps of ['elect', 'mask']) {
    const rebuilt = await model(`?steps=${steps}`);
    for (const name of ['layers.0.bias', 'layers.0.weight', 'scale', 'nothing']) {
      const u = floatsOf(unified.get(name)!);
      const mask = masks.get(name)!.bytes;
      const expected = floatsOf({ bytes: base.get(name)!.data! }).map((weight, i) =>
        steps === 'elect' || (mask[i >> 3]! >> (i & 7)) & 1 ? weight + u[i]! : weight,
      );
      assert.deepEqual([...floatsOf(rebuilt.get(name)!)].map(bits), [...expected].map(bits), `${steps} ${name}`);
    }
  }
  const tags = [await tagOf('?steps=elect'), await tagOf('?steps=mask'), await tagOf('')];
  assert.equal(new Set(tags).size, 3);
  assert.equal(await tagOf('?steps=rescale'), tags[2]);

  const elected = await server.merge({ base: 'base', tasks, method: { type: 'emr', steps: 'elect' } });
  const path = `/v1/merges/${elected.id}/tasks/a/model.safetensors`;
  const bytes = async (url: string) => Buffer.from(await (await server.call('GET', url)).arrayBuffer());
  assert.ok((await bytes(path)).equals((await get('tasks/a/model.safetensors?steps=elect')).body));
  assert.ok((await bytes(`${path}?steps=rescale`)).equals((await get('tasks/a/model.safetensors')).body));
});

const tagOf = async (query: string) => (await get(`tasks/a/model.safetensors${query}`)).headers.get('etag');

test('u and the masks follow from the definition', async () => {
  const unified = readSafetensors((await get('files/unified.safetensors')).body);
  for (const name of ['layers.0.bias', 'layers.0.weight', 'scale']) {
    const [base, ...tuned] = [models.base, ...models.tasks].map((tensors) =>
      floatsOf({ bytes: tensors.find((tensor) => tensor.name === name)!.data! }),
    );
    const vectors = tuned.map((weights) => weights.map((weight, i) => weight - base![i]!));
    const u = base!.map((_, i) => {
      const sign = Math.sign(vectors.reduce((sum, vector) => Math.fround(sum + vector[i]!), 0));
      return (
        sign * Math.max(0, ...vectors.map((vector) => (Math.sign(vector[i]!) === sign ? Math.abs(vector[i]!) : 0)))
      );
    });
    assert.deepEqual(floatsOf(unified.get(name)!), u, name);
    for (const [t, task] of tasks.entries()) {
      const packed = readSafetensors((await get(`files/tasks/${task.name}/mask.safetensors`)).body).get(name)!;
      assert.deepEqual([packed.dtype, packed.shape], ['U8', [Math.ceil(u.length / 8)]]);
      const expected = Buffer.alloc(Math.ceil(u.length / 8));
      u.forEach((value, i) => {
        if (value !== 0 && Math.sign(vectors[t]![i]!) === Math.sign(value)) expected[i >> 3]! |= 1 << (i & 7);
      });
      assert.deepEqual(packed.bytes, expected, `${task.name} ${name}`);
    }
  }
});

test('an output dtype is that of all float tensors and of no other', async () => {
  const whole = await model();
  for (const dtype of ['F32', 'BF16', 'F16']) {
    const cast = await model(`?dtype=${dtype}`);
    for (const [name, tensor] of cast) {
      const before = whole.get(name)!;
      assert.equal(tensor.dtype, before.dtype === 'I64' ? 'I64' : dtype, name);
      assert.deepEqual(tensor.shape, before.shape);
      if (tensor.dtype === before.dtype) assert.deepEqual(tensor.bytes, before.bytes, name);
    }
  }
  const rounded = (await model('?dtype=BF16')).get('head.weight')!;
  const exact = floatsOf(whole.get('head.weight')!);
  const expected = Uint16Array.from(exact, (value) => (bits(value) + 0x7fff + ((bits(value) >>> 16) & 1)) >>> 16);
  assert.deepEqual(new Uint16Array(Uint8Array.from(rounded.bytes).buffer), expected);
});

test('the folder of a task is as its checkpoint had it', async () => {
  const { files } = (await server.expect(200, 'GET', '/v1/merges/m/tasks/b/files')) as { files: Json[] };
  assert.deepEqual(
    files.map((file) => file.path),
    Object.keys(shards).sort(),
  );
  const together = new Map<string, ReadTensor>();
  for (const file of files) {
    const { body, headers } = await get(`tasks/b/files/${file.path}`);
    assert.equal(body.byteLength, file.bytes);
    assert.equal(headers.get('etag'), `"${file.etag}"`);
    const original = Buffer.from(shards[file.path as string] as string);
    if (!(file.path as string).endsWith('.safetensors')) {
      assert.deepEqual(body, original, file.path as string);
      assert.equal(headers.get('content-type')?.split(';')[0], 'application/json');
      continue;
    }
    assert.deepEqual(shapes(readSafetensors(body)), shapes(readSafetensors(original)));
    for (const [name, tensor] of readSafetensors(body)) together.set(name, tensor);
  }
  const single = readSafetensors((await get('tasks/b/model.safetensors')).body);
  assert.deepEqual(new Map([...together].sort()), new Map([...single].sort()), 'shards and single file agree');
});

test('the folder of a task in one file has that file and its config', async () => {
  const { files } = (await server.expect(200, 'GET', '/v1/merges/m/tasks/a/files')) as { files: Json[] };
  assert.deepEqual(
    files.map((file) => file.path),
    ['config.json', 'model.safetensors'],
  );
  assert.equal((await get('tasks/a/files/config.json')).body.toString(), '{ "note": "task a" }\n');
  const [inFolder, alone] = [await get('tasks/a/files/model.safetensors'), await get('tasks/a/model.safetensors')];
  assert.deepEqual(inFolder.body, alone.body);
});

test('the same request makes the same bytes after a restart, under the same tag', async () => {
  const digest = (body: Buffer) => createHash('sha256').update(body).digest('hex');
  const paths = [
    'tasks/a/model.safetensors',
    'tasks/b/model.safetensors?dtype=F16',
    'files/unified.safetensors',
    'report',
  ];
  const answers = async () =>
    Promise.all(
      paths.map(async (path) => {
        const { headers, body } = await get(path);
        return [headers.get('etag'), digest(body)];
      }),
    );
  const before = await answers();
  await server.restart();
  assert.deepEqual(await answers(), before);
  assert.equal(new Set(before.map(([tag]) => tag)).size, paths.length);
});

test('what is not there is refused with its own code', async () => {
  const refusals = [
    ['unknown_task', 'tasks/nobody/model.safetensors'],
    ['unknown_task', 'tasks/nobody/files'],
    ['unknown_file', 'tasks/a/files/pytorch_model.bin'],
    ['unknown_file', 'tasks/a/files/model-00001-of-00003.safetensors'],
    ['unknown_file', 'files/nothing'],
    ['unknown_file', 'files/../request.json'.replace('..', '%2e%2e%2f')],
    ['unknown_file', 'files/tasks/a'],
  ] as const;
  for (const [code, path] of refusals) await server.refuse(code, 404, 'GET', `/v1/merges/m/${path}`);
  await server.refuse('not_for_this_method', 409, 'GET', '/v1/merges/m/model.safetensors');
  for (const query of [
    'rescaler=tensor_mean',
    'scope=layer',
    'dtype=F64',
    'dtype=f16',
    'format=pt',
    'dtype=F16&dtype=F32',
  ]) {
    await server.refuse('invalid_request', 400, 'GET', `/v1/merges/m/tasks/a/model.safetensors?${query}`);
  }
});

test('artifacts with the longest names are served as they are listed', async () => {
  const [task, file] = ['t'.repeat(96), `${'f'.repeat(195)}.json`];
  await server.upload('long', { ...singleFile(models.tasks[0]!), [file]: '{}' });
  const long = await server.merge({ base: 'base', tasks: [{ name: task, checkpoint: 'long' }] });
  const { files } = await server.expect(200, 'GET', `/v1/merges/${long.id}/files`);
  const path = `tasks/${task}/files/${file}`;
  assert.ok((files as { path: string }[]).some((listed) => listed.path === path));
  assert.deepEqual(await server.expect(200, 'GET', `/v1/merges/${long.id}/files/${path}`), {});
});
