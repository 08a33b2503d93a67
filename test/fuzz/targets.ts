/** What is fuzzed: for each target an arbitrary, and what is done with one case of it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../src/checkpoint/limits.js';
import { parseHeader } from '../../src/checkpoint/safetensors-read.js';
import { parseIndex } from '../../src/checkpoint/shard-index.js';
import { EmrError } from '../../src/errors.js';
import { FORM, FORM_END, formStart, partHead, UNNAMED_FILE } from '../helpers/raw-http.js';
import { f32, safetensorsFile } from '../helpers/safetensors-file.js';
import { edited, editedJson, type JsonValue } from './mutations.js';
import type { HostileRequest, Send } from './send.js';

export interface Target {
  readonly name: string;
  /** Of all cases, in per cent. */
  readonly share: number;
  property(send: Send): fc.IAsyncProperty<unknown>;
}

const target = <T>(
  name: string,
  share: number,
  cases: fc.Arbitrary<T>,
  run: (one: T, send: Send) => Promise<void>,
): Target => ({ name, share, property: (send) => fc.asyncProperty(cases, (one) => run(one, send)) });

const weights = fc
  .array(fc.constantFrom(f32('w', [1, 2, 3]), f32('b', [0.5]), f32('é"\\', [1, 2], [2, 1])), { maxLength: 3 })
  .map((tensors) => safetensorsFile([...new Map(tensors.map((one) => [one.name, one])).values()]));
const index = fc
  .dictionary(fc.string({ maxLength: 6 }), fc.constantFrom('a.safetensors', 'b.safetensors'), { maxKeys: 4 })
  .map((weight_map) => Buffer.from(JSON.stringify({ metadata: { total_size: 1.5 }, weight_map })));

/** Parsers without a server: fast, so that most of the grammar is met. */
function refusesBy(codes: RegExp, parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof EmrError && codes.test(error.code), String(error));
  }
}

const form = (checkpoint: string, files: Readonly<Record<string, Uint8Array>>): Buffer => {
  const parts = Object.entries(files).flatMap(([file, bytes]) => [Buffer.from(partHead('file', file)), bytes]);
  return Buffer.concat([Buffer.from(partHead('name') + checkpoint), ...parts, Buffer.from(FORM_END)]);
};

/** Sends a form; what is accepted is deleted, so that names stay free. */
async function upload(send: Send, body: Uint8Array): Promise<void> {
  const { status, body: answer } = await send({ method: 'POST', path: '/v1/checkpoints', headers: FORM, body });
  if (status !== 201) return;
  const { name } = JSON.parse(answer.toString()) as { name: string };
  await send({ method: 'DELETE', path: `/v1/checkpoints/${name}` });
}

const TASKS = [{ name: 't', checkpoint: 'tuned' }];
const METHODS: JsonValue[] = [
  { type: 'emr', rescaler: 'l2' },
  { type: 'average', weights: { t: 1 } },
  { type: 'task_arithmetic', lambdas: { t: 0.5 }, layers: [{ pattern: '*', lambda: 1 }] },
  { type: 'ties', density: 0.5, dialect: 'peft' },
  { type: 'dare', drop_rate: 0.5, seed: 1, inner: { type: 'average' } },
  { type: 'fisher', statistics: { t: 'tuned' } },
  { type: 'regmean', statistics: { t: 'tuned' } },
  { type: 'adamerging', coefficients: { t: { '*': 0.3 } }, trimmed: { density: 0.2 } },
];
const merge: JsonValue = {
  name: 'fuzzed',
  base: 'base',
  tasks: TASKS,
  include: ['w*'],
  exclude: ['x.[ab]'],
  dtype: 'BF16',
};
const merges = METHODS.map((method): JsonValue => ({ ...merge, method }));
/** A valid body or several for each route that takes JSON. */
export const BODIES: Readonly<Record<string, JsonValue[]>> = {
  '/v1/merges/plan': merges,
  '/v1/merges': merges.slice(0, 2),
  '/v1/batches': [
    { merges: merges.slice(0, 2) },
    {
      template: { base: 'base', tasks: TASKS },
      grid: { methods: [{ type: 'ties', density: [0.1, 0.2] }] },
      evaluate: { t: 'tuned' },
    },
  ],
  '/v1/jobs': [
    { type: 'evaluate', model: { checkpoint: 'tuned' }, dataset: 'base' },
    { type: 'fisher', checkpoint: 'tuned', dataset: 'base', output: 'made', samples: 1 },
    { type: 'gram', checkpoint: 'tuned', dataset: 'base', output: 'made' },
    { type: 'adamerging', base: 'base', tasks: [{ ...TASKS[0]!, dataset: 'base' }], trimmed: { density: 0.1 } },
  ],
  '/v1/checkpoints': [
    { name: 'placed', source: { uri: 'store:inbox' } },
    { name: 'x', source: { uri: 'file:///etc' } },
  ],
  '/v1/merges/done/cancel': [{}],
  '/v1/merges/done/verify': [{}],
  '/v1/checkpoints/base/complete': [{}],
  '/v1/checkpoints/base/verify': [{}],
};

const jsonBody = (value: JsonValue) => Buffer.from(JSON.stringify(value));
const posts = fc.constantFrom(...Object.keys(BODIES)).chain((path) =>
  fc.record({
    method: fc.constant('POST'),
    path: fc.constant(path),
    headers: fc.constantFrom(
      ...[{ 'content-type': 'application/json' }, { 'content-type': 'application/json' }],
      ...[{ 'content-type': 'application/json', 'content-encoding': 'gzip' }, { 'content-type': 'text/plain' }, {}],
      { 'content-type': 'application/json; charset=utf-7' },
    ),
    body: fc.oneof(
      { weight: 3, arbitrary: editedJson(BODIES[path]!).map(jsonBody) },
      { weight: 1, arbitrary: edited(fc.constantFrom(...BODIES[path]!).map(jsonBody)) },
    ),
  }),
);

/** What was accepted is stopped and deleted, so that the store does not fill. */
async function post(sent: HostileRequest, send: Send): Promise<void> {
  const { status, headers, body } = await send(sent);
  const { location } = headers;
  if (status >= 300 || location === undefined || location === '/v1/merges/done') return;
  const made = location.startsWith('/v1/batches/')
    ? (JSON.parse(body.toString()) as { merges: { id: string }[] }).merges.map(({ id }) => `/v1/merges/${id}`)
    : [location];
  for (const path of made) {
    await send({ method: 'POST', path: `${path}/cancel` });
    await send({ method: 'DELETE', path });
  }
}

const segment = fc.oneof(
  fc.constantFrom('..', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%00', '%', '%zz', '%c0%af', '.tmp-x', '.', 'base%20', ' '),
  fc.constantFrom(
    'ｂase',
    'bа\u0441e',
    'BASE',
    'base.',
    'x'.repeat(97),
    'x'.repeat(400),
    '__proto__',
    'done',
    'base',
    't',
  ),
  fc.string({ unit: 'binary', maxLength: 10 }).map((text) => encodeURIComponent(text)),
  fc.string({ maxLength: 10 }),
);
const toAscii = (text: string) => text.replace(/[^!-~]/gu, (character) => encodeURIComponent(character));
const ROUTES = [
  ...[
    'GET /v1/checkpoints/{}',
    'DELETE /v1/checkpoints/{}',
    'PUT /v1/checkpoints/{}/files/{}',
    'GET /v1/{}',
    'GET /{}/{}',
  ],
  ...[
    'POST /v1/checkpoints/{}/complete',
    'POST /v1/checkpoints/{}/verify',
    'GET /v1/merges/{}',
    'DELETE /v1/merges/{}',
  ],
  ...['GET /v1/merges/{}/files/{}', 'GET /v1/merges/done/files/{}/{}', 'GET /v1/merges/done/tasks/{}/files/{}'],
  ...['GET /v1/merges/{}/report', 'POST /v1/merges/{}/cancel', 'GET /v1/batches/{}', 'GET /v1/batches/{}/results'],
  ...['GET /v1/jobs/{}', 'GET /v1/jobs/{}/events', 'GET /v1/merges/{}/events', 'GET /docs/{}', 'OPTIONS /v1/{}'],
  ...['GET /v1/merges?{}={}', 'GET /v1/jobs?limit={}&cursor={}', 'GET /v1/checkpoints?cursor={}'],
  ...['GET /v1/merges/done/tasks/t/model.safetensors?rescaler={}', 'GET /v1/merges/done/report?format={}'],
];
const PRECIOUS = /^DELETE \/v1\/(checkpoints|merges)\/(base|tuned|done)$/;
const addresses = fc
  .tuple(fc.constantFrom(...ROUTES), fc.array(segment, { minLength: 3, maxLength: 3 }))
  .map(([route, values]) => {
    let next = 0;
    return route.replaceAll('{}', () => toAscii(values[next++]!));
  })
  .filter((line) => !PRECIOUS.test(line));

const number = fc.oneof(
  fc.nat(500).map(String),
  fc.constantFrom('', '-1', '1e3', '18446744073709551616', '0x1', '００'),
);
const range = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(number, number).map(([from, to]) => `bytes=${from}-${to}`) },
  fc
    .array(fc.tuple(number, number), { maxLength: 50 })
    .map((all) => `bytes=${all.map((pair) => pair.join('-')).join(',')}`),
  fc.string({ maxLength: 20 }),
  fc.constantFrom(
    'bytes',
    'bytes=',
    'bytes=-',
    'lines=0-1',
    `bytes=0-${'9'.repeat(3_000)}`,
    'bytes=0-0, 0-0',
    'bytes = 0-1',
  ),
);
const headerText = (text: string) => toAscii(text).replaceAll('%20', ' ');

export const TARGETS: readonly Target[] = [
  target('header', 30, edited(weights), async (file) => {
    refusesBy(/^(safetensors_|dtype_refused$)/, () => parseHeader(file, file.byteLength, DEFAULT_LIMITS));
  }),
  target('index', 15, edited(index), async (bytes) =>
    refusesBy(/^(index_|safetensors_name$)/, () => parseIndex(bytes, DEFAULT_LIMITS)),
  ),
  target('upload', 9, fc.tuple(edited(weights), weights), ([bad], send) =>
    upload(send, form('uploaded', { 'model.safetensors': bad })),
  ),
  target('shards', 5, fc.tuple(edited(index), weights), ([bad, shard], send) =>
    upload(
      send,
      form('sharded', { 'model.safetensors.index.json': bad, 'a.safetensors': shard, 'b.safetensors': shard }),
    ),
  ),
  target(
    'multipart',
    8,
    edited(
      fc
        .tuple(fc.constantFrom(formStart('formed'), `${partHead('name')}formed${UNNAMED_FILE}`), weights)
        .map(([start, file]) => Buffer.concat([Buffer.from(start), file, Buffer.from(FORM_END)])),
    ),
    (body, send) => upload(send, body),
  ),
  target('json', 15, posts, post),
  target('names', 10, addresses, async (line, send) => {
    const [method, path] = line.split(' ') as [string, string];
    await send({ method, path, ...(method === 'PUT' ? { body: Buffer.from('x') } : {}) });
  }),
  target(
    'ranges',
    8,
    fc.record({
      method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
      range,
      tag: fc.option(fc.string({ maxLength: 12 }), { freq: 2 }),
    }),
    async ({ method, range: asked, tag }, send) => {
      const headers = { range: headerText(asked), ...(tag === null ? {} : { 'if-range': headerText(tag) }) };
      const answer = await send({ method, path: '/v1/merges/done/tasks/t/model.safetensors', headers });
      assert.ok([200, 206, 416].includes(answer.status), String(answer.status));
      if (method === 'HEAD') assert.equal(answer.status, 200);
      else assert.equal(answer.body.byteLength, Number(answer.headers['content-length']));
    },
  ),
];
