import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv } from '../../../src/api/csv.js';

test('cells are quoted where RFC 4180 wants it', () => {
  assert.equal(
    csv(
      ['a', 'b'],
      [
        ['x,y', 'say "z"'],
        [undefined, 1.5],
        ['two\nlines', 0],
      ],
    ),
    'a,b\r\n"x,y","say ""z"""\r\n,1.5\r\n"two\nlines",0\r\n',
  );
});
