/**
 * Runs the built tests with Node's own runner: `node dist/test/run.js [part of a path …]`. First it brings what they
 * need, once, so that test files that run side by side do not race for it. At the end it names what was skipped and
 * why; with CI=true a skip is a failure.
 */
import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { prerequisites } from './helpers/prerequisites.js';

/** Files at once; many of them start servers and threads of their own. */
const CONCURRENCY = 2;
/** Of one file. Ends a run that hangs; nothing is measured by it. */
const FILE_LIMIT_MS = 10 * 60_000;

const isCi = process.env.CI === 'true';
const here = fileURLToPath(new URL('.', import.meta.url));
const filters = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.test.js') && (filters.length === 0 || filters.some((part) => path.includes(part))))
  .sort()
  .map((path) => here + path);

process.stdout.write(`Node ${process.version}, ${files.length} test files\n`);
const missing = await prerequisites((line) => process.stdout.write(`${line}\n`));

const skipped: string[] = [];
const failed: string[] = [];
let passed = 0;

if (files.length > 0) {
  const results = run({ files, concurrency: CONCURRENCY, timeout: FILE_LIMIT_MS });
  results.on('test:pass', ({ name, skip, details }) => {
    if (skip !== undefined) skipped.push(`${name}: ${typeof skip === 'string' ? skip : 'no reason given'}`);
    // Node reports a file without tests as a test that has the file's name and passes.
    else if (files.includes(name)) failed.push(`${relative(here, name)} holds no test`);
    else if (details.type !== 'suite') passed += 1;
  });
  results.on('test:fail', ({ name, file, todo }) => {
    if (todo === undefined) failed.push(`${name} (${file ? relative(here, file) : 'no file'})`);
  });
  results.compose(new spec()).pipe(process.stdout);
  await new Promise((resolve) => results.once('end', resolve));
}

process.once('exit', () => {
  const reasons = [...missing.map((line) => `missing: ${line}`), ...skipped];
  if (reasons.length > 0) process.stdout.write(`\nSkipped:\n${reasons.map((line) => `  ${line}\n`).join('')}`);
  if (failed.length > 0) process.stdout.write(`\nFailed:\n${failed.map((line) => `  ${line}\n`).join('')}`);
  if (passed === 0) process.stdout.write('\nNo test ran.\n');
  process.stdout.write(`\n${passed} passed, ${failed.length} failed, ${skipped.length} skipped\n`);
  if (failed.length > 0 || passed === 0 || (isCi && reasons.length > 0)) process.exitCode = 1;
});
