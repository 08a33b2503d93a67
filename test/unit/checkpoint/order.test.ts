import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8 } from '../../../src/checkpoint/order.js';

test('compares as the bytes of UTF-8 do', () => {
  const strings = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.string({
      unit: fc.constantFrom('a', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
      maxLength: 4,
    }),
  );
  fc.assert(
    fc.property(strings, strings, (a, b) => {
      assert.equal(Math.sign(compareUtf8(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 2000 },
  );
});

test('puts code points above U+FFFF after those below, unlike `<`', () => {
  assert.ok('\u{1f600}' < '\uff41' && compareUtf8('\u{1f600}', '\uff41') > 0);
});
