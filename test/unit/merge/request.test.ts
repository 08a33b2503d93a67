import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_TASKS } from '../../../src/merge/max-tasks.js';
import { mergeId, mergeRequest } from '../../../src/merge/request.js';
import { requestOf } from '../../helpers/services.js';

const TASKS = [
  { name: 'a', checkpoint: 'tuned-a' },
  { name: 'b', checkpoint: 'tuned-b' },
];
const REQUEST = { base: 'base', tasks: TASKS };
const DIGESTS = { base: 'd0', tasks: ['d1', 'd2'] };
const idOf = (more: object = {}, digests = DIGESTS) => mergeId(requestOf({ ...REQUEST, ...more }), digests);

test('the id of a merge does not depend on its name, on the order of keys, or on defaults being spelled out', () => {
  assert.match(idOf(), /^[0-9a-f]{32}$/);
  assert.equal(idOf({ name: 'alias' }), idOf());
  assert.equal(mergeId(requestOf({ tasks: TASKS, base: 'base' }), DIGESTS), idOf());
  const spelled = { rescaler: 'global', scope: 'model', zero_sign: 'zero', type: 'emr' };
  assert.equal(idOf({ method: spelled, strict: false, engine: 'simd' }), idOf());
});

test('the id of a merge stays as it is from release to release, so that stored merges are found', () => {
  assert.equal(idOf(), 'a009b26fd2728486335d8c8bba7b6633');
});

test('whatever changes what is merged changes the id', () => {
  const others = [
    idOf({ tasks: [TASKS[1], TASKS[0]] }, { base: 'd0', tasks: ['d2', 'd1'] }),
    idOf({ tasks: [{ ...TASKS[0], name: 'other' }, TASKS[1]] }),
    idOf({ method: { type: 'emr', zero_sign: 'negative' } }),
    idOf({ method: { type: 'average' } }),
    idOf({ exclude: ['head.*'] }),
    idOf({ include: ['head.*'] }),
    idOf({ strict: true }),
    idOf({ dtype: 'BF16' }),
    idOf({}, { base: 'changed', tasks: ['d1', 'd2'] }),
    idOf({}, { base: 'd0', tasks: ['d1', 'changed'] }),
  ];
  assert.equal(new Set([idOf(), ...others]).size, others.length + 1);
});

test('requests are refused that name a task twice, have none, or carry what nobody reads', () => {
  const refused = (more: object) => mergeRequest.safeParse({ ...REQUEST, ...more }).success;
  assert.equal(refused({}), true);
  assert.equal(refused({ tasks: [TASKS[0], TASKS[0]] }), false);
  assert.equal(refused({ tasks: [] }), false);
  assert.equal(
    refused({ tasks: Array.from({ length: MAX_TASKS.ceiling + 1 }, (_, t) => ({ name: `t${t}`, checkpoint: 'x' })) }),
    false,
  );
  assert.equal(refused({ unknown: 1 }), false);
  assert.equal(refused({ method: { type: 'emr', lambda: 1 } }), false);
  assert.equal(refused({ method: { type: 'unknown' } }), false);
  assert.equal(refused({ name: '../x' }), false);
  assert.equal(refused({ name: 'a'.repeat(97) }), false);
  assert.equal(refused({ name: '0123456789abcdef0123456789abcdef' }), false, 'a name that looks like an id');
  assert.equal(refused({ dtype: 'F64' }), false);
  assert.equal(refused({ exclude: [''] }), false);
});
