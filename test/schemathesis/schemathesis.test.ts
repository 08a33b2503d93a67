import assert from 'node:assert/strict';
import { test } from 'node:test';
import { python } from '../helpers/python.js';
import { runSchemathesis } from './schemathesis.js';

/** On an idle machine all operations come in this; `npm run schemathesis -- --seconds N --seed S` goes deeper. */
const SECONDS = 40;

const found = await python();
const options = 'skip' in found ? { skip: found.skip } : {};

test('what openapi.yaml allows is answered as it says, and nothing else fails', options, async () => {
  assert.ok('path' in found);
  const { code, text, log } = await runSchemathesis({ python: found.path, seconds: SECONDS, seed: 1 });
  assert.equal(code, 0, text);
  assert.deepEqual(log, []);
  const [, selected, all] = /Operations: +(\d+) selected \/ (\d+) total/.exec(text) ?? [];
  assert.ok(Number(selected) > 25 && selected === all, text);
});
