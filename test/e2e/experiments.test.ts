import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EXAMPLE } from '../../examples/digits/places.js';
import { temporaryFolder } from '../helpers/temporary.js';

const PROGRAM = fileURLToPath(new URL('../../experiments/main.js', import.meta.url));

test('the quick experiments measure what the example reports, and a second run measures nothing again', async () => {
  const cache = temporaryFolder('emr-experiments-test-');
  const run = async () => (await promisify(execFile)(process.execPath, [PROGRAM, '--quick', '--cache', cache])).stdout;
  const output = await run();
  const readme = await readFile(join(EXAMPLE, 'README.md'), 'utf8');
  const reported = /average of the tasks +\| \*\*([0-9.]+)\*\* +\| \*\*([0-9.]+)\*\* +\| \*\*([0-9.]+)\*\*/.exec(
    readme,
  )!;
  for (const [index, method] of ['Individual', 'Weight averaging', 'EMR, global'].entries()) {
    const measured = new RegExp(`^\\| ${method} +\\| +([0-9.]+) \\|`, 'm').exec(output)?.[1];
    // Other builds of the WebAssembly backend may sum in another order: an image or two.
    assert.ok(Math.abs(Number(measured) - Number(reported[index + 1])) < 0.15, `${method}: ${measured}`);
  }
  const results = await readdir(join(cache, 'results'));
  assert.equal(results.length, 3);
  const table = (text: string) => text.slice(text.indexOf('## Eight tasks'), text.lastIndexOf('|'));
  const again = await run();
  assert.equal(table(again), table(output));
  assert.doesNotMatch(again, /quick, seed 1/);
});
