import { createLocalQueue } from '../../src/queue/local.js';
import { queueSuite } from './queue.js';

queueSuite('in this process', async (t, options) => {
  const queue = createLocalQueue(options);
  t.after(() => queue.close());
  return { queue, other: queue };
});
