/** `npm run fuzz -- --cases 100000 --seed 7 [--target json]`: the long form of the test. */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: `${Date.now() % 1e6}` },
    target: { type: 'string' },
  },
});
const report = await fuzz({ cases: Number(values.cases), seed: Number(values.seed), target: values.target });
process.stdout.write(`${JSON.stringify({ seed: Number(values.seed), ...report }, null, 2)}\n`);
process.exitCode = report.failures.length + report.log.length > 0 ? 1 : 0;
