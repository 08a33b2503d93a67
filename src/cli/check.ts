/** Exits with 0 if the store and the queue of this environment can be used: a worker's health check, or a first look. */
import { readConfig } from '../config.js';
import { toEmrError } from '../errors.js';
import { createServices } from '../services.js';

/** Redis and S3 refuse sooner; this is for one that takes the connection and then says nothing. */
const DEADLINE_MS = 15_000;

setTimeout(() => {
  process.stderr.write('store or queue: no answer\n');
  process.exit(1);
}, DEADLINE_MS).unref();

const { store, queue, close } = await createServices(readConfig(process.env), { info: () => {}, warn: () => {} });
const checks = await Promise.allSettled([store.check(), queue.check()]);
for (const [i, check] of checks.entries()) {
  const name = ['store', 'queue'][i];
  if (check.status === 'fulfilled') continue;
  process.stderr.write(`${name}: ${toEmrError(check.reason).message}\n`);
  process.exitCode = 1;
}
await close();
