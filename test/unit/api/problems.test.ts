import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemOf } from '../../../src/api/plugins/problems.js';
import { EmrError, ERRORS, type ErrorCode } from '../../../src/errors.js';

test('every code of the table is a problem with its status', () => {
  for (const [code, { status, retry, title }] of Object.entries(ERRORS)) {
    const problem = problemOf(new EmrError(code as ErrorCode, 'What to do.', { checkpoint: 'x' }));
    const { type, ...rest } = problem;
    assert.match(type as string, new RegExp(`^https://.*#${code}$`));
    assert.deepEqual(rest, { code, status, retry, title, detail: 'What to do.', checkpoint: 'x' });
    assert.ok(status >= 400 && status <= 599, code);
  }
});

test('facts never take the place of what every problem has', () => {
  const problem = problemOf(new EmrError('too_large', 'Less.', { status: 200, code: 'fine', detail: 'x', type: 'y' }));
  assert.deepEqual([problem.status, problem.code, problem.detail], [413, 'too_large', 'Less.']);
});
