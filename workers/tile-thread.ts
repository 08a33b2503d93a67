/** Entry of the worker threads that compute merges (src/merge/tile-threads.ts starts them). */
import { type MessagePort, parentPort } from 'node:worker_threads';
import type { TileThreadData } from '../src/merge/tile-job.js';
import { createTileLoop } from '../src/merge/tile-loop.js';

const runTileLoop = createTileLoop();

// A job that fails rejects here, which ends the thread with an 'error' event in the thread that started it.
parentPort?.on('message', ({ data, port }: { data: TileThreadData; port: MessagePort }) => {
  void runTileLoop(data, port);
});
