import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from './fuzz.js';
import { TARGETS } from './targets.js';

/** A few seconds of it; `npm run fuzz -- --cases N --seed S` goes on. */
const CASES = 1_500;
/** A server without load has some 120 MB; memory that grew with the cases would be far beyond in the long form. */
const MAX_PEAK_BYTES = 600 * 2 ** 20;

test('hostile headers, forms, names, JSON and ranges are answered, each refusal with a code', async () => {
  const { cases, failures, log, peakBytes, statuses } = await fuzz({ cases: CASES, seed: 20_261_122 });
  assert.deepEqual(failures, []);
  assert.deepEqual(log, []);
  assert.equal(Object.keys(cases).length, TARGETS.length);
  // Else nothing was tried: some is accepted, and most is not.
  for (const status of ['200', '201', '206', '400', '404', '422']) assert.ok(statuses[status]! > 0, status);
  assert.ok((peakBytes ?? 0) < MAX_PEAK_BYTES, `${peakBytes} bytes`);
});
