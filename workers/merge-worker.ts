/** Entry of a worker process: takes merges and jobs from Redis. Any number of them, on any number of machines. */
import closeWithGrace from 'close-with-grace';
import { readConfig } from '../src/config.js';
import { createLogger } from '../src/logger.js';
import { createServices } from '../src/services.js';
import { startWorker } from '../src/worker.js';
import { lowerProcess } from './priority.js';

lowerProcess();

const config = readConfig(process.env);
if (config.redisUrl === undefined) {
  throw new Error('Set REDIS_URL: a worker takes merges from Redis. Without Redis, `npm start` runs them itself.');
}
const logger = createLogger(config);
const services = await createServices(config, logger);
const worker = await startWorker(services, logger);
logger.info({ pid: process.pid }, 'worker ready');
closeWithGrace({ delay: config.graceMs }, async ({ err }) => {
  if (err) logger.error({ err }, 'worker failed');
  await worker.close();
  await services.close();
});
