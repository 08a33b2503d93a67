import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { explained, type Issue } from '../../src/issues.js';

const pair = z.strictObject({ left: z.number(), right: z.enum(['a', 'b']) });
const schema = z.strictObject({
  either: z.union([z.strictObject({ list: z.array(pair) }), pair]),
});
const told = (value: unknown) => explained(schema.safeParse(value).error!.issues as Issue[]);
const paths = (value: unknown) => told(value).map(({ path }) => path.join('.'));

test('a union is explained by the branch that knows most of the keys', () => {
  assert.deepEqual(paths({ either: { list: [{ left: 1, right: 'c' }] } }), ['either.list.0.right']);
  assert.deepEqual(paths({ either: { left: 'x', right: 'a' } }), ['either.left']);
  assert.match(told({ either: { list: [{ left: 1, right: 'c' }] } })[0]!.message, /"a"\|"b"/);
});

test('a branch of another kind is the last to be taken', () => {
  assert.deepEqual(paths({ either: 7 }), ['either']);
  assert.match(told({ either: 7 })[0]!.message, /expected object/);
});

test('unions within unions keep their whole path', () => {
  const inner = z.record(z.string(), z.union([z.number(), z.record(z.string(), z.union([z.number(), pair]))]));
  const issues = inner.safeParse({ a: { b: { left: 1, right: 2 } } }).error!.issues as Issue[];
  assert.deepEqual(
    explained(issues).map(({ path }) => path.join('.')),
    ['a.b.right'],
  );
});

test('what is no union, and a union that tried no branch, stay as they are', () => {
  const told = z.discriminatedUnion('type', [z.object({ type: z.literal('a') })]).safeParse({ type: 'b' });
  const issues = told.error!.issues as Issue[];
  assert.deepEqual(explained(issues), issues);
});
