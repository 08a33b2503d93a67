/** `npm run schemathesis -- --seconds 300 --seed 7`: the long form of the test. */
import { parseArgs } from 'node:util';
import { python } from '../helpers/python.js';
import { runSchemathesis } from './schemathesis.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '300' }, seed: { type: 'string', default: `${Date.now() % 1e6}` } },
});
const found = await python();
if ('skip' in found) throw new Error(found.skip);
const run = { python: found.path, seconds: Number(values.seconds), seed: Number(values.seed) };
const { code, text, log } = await runSchemathesis(run);
process.stdout.write(`${text}\n${log.join('\n')}\n`);
process.exitCode = code === 0 && log.length === 0 ? 0 : 1;
