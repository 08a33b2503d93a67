import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { explained, type Issue } from '../../../src/issues.js';
import { limitedRecord } from '../../../src/merge/limited-record.js';
import { MAX_TASKS } from '../../../src/merge/max-tasks.js';
import { mergeRequest } from '../../../src/merge/request.js';

test('of a record with too many entries none is looked at', () => {
  let looked = 0;
  const value = z.number().refine(() => {
    looked += 1;
    return true;
  });
  const record = limitedRecord(2, z.string(), value);
  assert.deepEqual(record.parse({ a: 1, b: 2 }), { a: 1, b: 2 });
  assert.equal(looked, 2);
  assert.deepEqual(
    record.safeParse({ a: 1, b: 2, c: 3 }).error!.issues.map(({ message }) => message),
    ['more than 2 entries'],
  );
  assert.equal(looked, 2);
  for (const other of [undefined, null, 'text', 3]) assert.equal(record.safeParse(other).success, false);
});

test('every record in the parameters of a method is limited so', () => {
  const many = Object.fromEntries(Array.from({ length: MAX_TASKS.ceiling + 1 }, (_, i) => [`t${i}`, {}]));
  const perTensor = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`t${i}`, 'x']));
  for (const [method, path] of [
    [{ type: 'average', weights: many }, 'weights'],
    [{ type: 'fisher', statistics: many }, 'statistics'],
    [{ type: 'fisher', statistics: { t: 'c' }, weights: many }, 'weights'],
    [{ type: 'regmean', statistics: many }, 'statistics'],
    [{ type: 'task_arithmetic', lambdas: many }, 'lambdas'],
    [{ type: 'ties', weights: many }, 'weights'],
    [{ type: 'adamerging', coefficients: many }, 'coefficients'],
    [{ type: 'adamerging', coefficients: { t: perTensor } }, 'coefficients.t'],
  ] as const) {
    const parsed = mergeRequest.safeParse({ base: 'b', tasks: [{ name: 't', checkpoint: 'c' }], method });
    const issues = explained((parsed.error?.issues ?? []) as Issue[]);
    assert.deepEqual(
      issues.map((issue) => [issue.path.join('.'), /^more than \d+ entries$/.test(issue.message)]),
      [[`method.${path}`, true]],
    );
  }
});
