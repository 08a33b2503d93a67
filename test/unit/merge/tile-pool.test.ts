/** What a pool does when a thread ends at the wrong moment, which real threads do too seldom to wait for. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { type MessagePort, Worker } from 'node:worker_threads';
import { TILE_ELEMENTS } from '../../../src/kernels/types.js';
import type { TileJob } from '../../../src/merge/tile-job.js';
import { startTilePool } from '../../../src/merge/tile-pool.js';
import type { TileThread } from '../../../src/merge/tile-threads.js';

const JOB: TileJob = {
  store: { kind: 'file', root: '/nowhere' },
  engine: 'scalar',
  tasks: 1,
  files: [],
  tensors: [],
  itemElements: TILE_ELEMENTS,
  output: 'masks',
  lanes: 1,
  cursor: new SharedArrayBuffer(4),
};

function poolOf(worker: Worker) {
  const given: TileThread[] = [];
  const threads = {
    take: (shape: string): TileThread => ({ worker, shape, buffers: [] }),
    give: (thread: TileThread) => void given.push(thread),
    close: async () => {},
  };
  return { pool: startTilePool(threads, JOB, 1), given };
}

const SAYS_DONE = `
  const { port, said } = require('node:worker_threads').workerData;
  port.postMessage({ done: true });
  Atomics.store(said, 0, 1);
  Atomics.notify(said, 0);`;

test('a thread that says that it is done while it is stopped is not given to the next merge', async () => {
  const said = new Int32Array(new SharedArrayBuffer(4));
  let port: MessagePort;
  // In the place of the thread: what it says comes between the call of `terminate` and its end.
  const worker = Object.assign(new EventEmitter(), {
    postMessage(message: { port: MessagePort }) {
      port = message.port;
    },
    async terminate() {
      const other = new Worker(SAYS_DONE, { eval: true, workerData: { port, said }, transferList: [port] });
      Atomics.wait(said, 0, 0);
      await other.terminate();
      worker.emit('exit', 1);
      return 1;
    },
  });
  const { pool, given } = poolOf(worker as unknown as Worker);
  await Promise.all([pool.close(), pool.close()]);
  assert.deepEqual(given, []);
  await assert.rejects(pool.next(1, 4), { code: 'cancelled' });
});

test('a thread that ends without a word fails the merge', async () => {
  const worker = new Worker("require('node:worker_threads').parentPort.once('message', () => process.exit(0))", {
    eval: true,
  });
  const { pool, given } = poolOf(worker);
  await assert.rejects(pool.next(1, 4), /ended before its work was done/);
  await pool.close();
  assert.deepEqual(given, []);
});

test('a thread that has done its work is given back once', async () => {
  // `on`: it stays for the next merge, as a real one does; one that ends by itself may be found dead.
  const worker = new Worker(
    "require('node:worker_threads').parentPort.on('message', ({ port }) => port.postMessage({ done: true }))",
    {
      eval: true,
    },
  );
  const { pool, given } = poolOf(worker);
  await pool.finish();
  await pool.close();
  assert.equal(given.length, 1);
  await worker.terminate();
});
