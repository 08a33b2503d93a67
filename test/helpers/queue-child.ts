/** A worker process that takes jobs and never ends them: `queue-child.js <url> <prefix>`. Prints the id of each. */
import { createBullQueue } from '../../src/queue/bullmq.js';

const [url, prefix] = process.argv.slice(2);
if (!url || !prefix) throw new Error('usage: queue-child.js <url> <prefix>');

const queue = createBullQueue({ url, prefix, log: (message, error) => console.error(message, error) });
await queue.work(
  async (job) => {
    console.log(job.id);
    await new Promise(() => {});
  },
  { concurrency: 4 },
);
