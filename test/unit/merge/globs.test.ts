import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EmrError } from '../../../src/errors.js';
import { firstMatch, globMatcher, globPattern } from '../../../src/merge/globs.js';

const MATCHES: [pattern: string, name: string, expected: boolean][] = [
  ['head', 'head', true],
  ['head', 'head.weight', false],
  ['head.*', 'head.weight', true],
  ['head.*', 'heads.weight', false],
  ['*', 'a/b.c', true],
  ['**', '', true],
  ['*.bias', 'layers.0.attn.bias', true],
  ['layers.{0,11}.*.bias', 'layers.11.attn.bias', true],
  ['layers.{0,11}.*.bias', 'layers.1.attn.bias', false],
  ['layers.{0,1{0,1}}.w', 'layers.11.w', true],
  ['{a,}b', 'b', true],
  ['layers.[0-3].w', 'layers.2.w', true],
  ['layers.[0-3].w', 'layers.4.w', false],
  ['layers.[!0-3].w', 'layers.4.w', true],
  ['a[]]b', 'a]b', true],
  ['a?c', 'abc', true],
  ['a?c', 'a😀c', true],
  ['a?c', 'ac', false],
  ['.hidden*', '.hidden.w', true],
  ['*hidden', '.hidden', true],
  ['!a', '!a', true],
  ['!a', 'b', false],
  ['@(a|b)', 'a', false],
  ['a,b}', 'a,b}', true],
  ['\\*', '*', true],
  ['\\*', 'a', false],
];

test('patterns match as written', () => {
  for (const [pattern, name, expected] of MATCHES) {
    assert.ok(globPattern.safeParse(pattern).success, pattern);
    assert.equal(globMatcher([pattern])(name), expected, `${pattern} on ${name}`);
  }
  assert.equal(globMatcher(['a', 'b'])('b'), true);
  assert.equal(globMatcher([])('a'), false);
});

test('brackets and braces must be closed, and not too deep', () => {
  for (const pattern of ['{a', 'a{b,c', '[a', '[', '{', '{'.repeat(256), `${'{'.repeat(9)}a${'}'.repeat(9)}`]) {
    assert.equal(globPattern.safeParse(pattern).success, false, pattern);
  }
  assert.ok(globPattern.safeParse(`${'{'.repeat(8)}a${'}'.repeat(8)}`).success);
});

test('stars, question marks and alternatives as a regular expression takes them', () => {
  const part = fc.constantFrom('*', '?', 'a', 'b', '{a,b*}', '{a,,{b,ab}}', '[ab]', '[!a]');
  const regex = new Map([
    ['*', '.*'],
    ['?', '.'],
    ['{a,b*}', '(?:a|b.*)'],
    ['{a,,{b,ab}}', '(?:a||b|ab)'],
    ['[!a]', '[^a]'],
  ]);
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 5 }),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c') }),
      (parts, name) => {
        const expected = new RegExp(`^${parts.map((one) => regex.get(one) ?? one).join('')}$`).test(name);
        assert.equal(globMatcher([parts.join('')])(name), expected);
      },
    ),
  );
});

test('no pattern makes a name take long', () => {
  const name = 'a'.repeat(1000);
  for (const pattern of [
    `${'*a'.repeat(60)}*b`,
    `${'{a*,*a}'.repeat(30)}b`,
    `${'{*,?}'.repeat(40)}b`,
    '*'.repeat(256),
  ]) {
    assert.equal(globMatcher([pattern])(name), !pattern.endsWith('b'), 'within the time of a test, or never');
  }
});

test('the first pattern that matches is found, whether it has wildcards or not', () => {
  const patterns = ['layers.1.w', 'layers.*', 'layers.0.w', 'head', '*', 'head', 'tail'];
  const find = firstMatch(patterns);
  for (const [name, expected] of Object.entries({ 'layers.1.w': 0, 'layers.0.w': 1, head: 3, tail: 4 })) {
    assert.equal(find(name), expected, name);
  }
  const part = fc.constantFrom('a', 'b', '*', '?', '\\*', '{a,b}');
  const pattern = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
  const name = fc.array(fc.constantFrom('a', 'b', '*'), { maxLength: 4 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 6 }), name, (all, text) => {
      assert.equal(
        firstMatch(all)(text),
        all.findIndex((one) => globMatcher([one])(text)),
      );
    }),
  );
});

test('10,000 exact patterns on 20,000 names are looked up; many stars on long names are refused', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `layers.${i}.weight`);
  const find = firstMatch(names.slice(0, 10_000));
  assert.equal(names.filter((name) => find(name) >= 0).length, 10_000);
  const hostile = firstMatch(Array.from({ length: 256 }, (_, i) => `${'*a'.repeat(120)}${i}`));
  assert.throws(
    () => names.map((name) => hostile('a'.repeat(900) + name)),
    (error: unknown) => error instanceof EmrError && error.code === 'invalid_request',
  );
});
