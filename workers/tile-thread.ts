/** Entry of the worker threads that compute a merge (src/merge/tile-pool.ts starts them). */
import { parentPort, workerData } from 'node:worker_threads';
import type { TileThreadData } from '../src/merge/tile-job.js';
import { runTileLoop, type TilePort } from '../src/merge/tile-loop.js';

// A thread that fails rejects here, which ends it with an 'error' event in the thread that started it.
await runTileLoop(workerData as TileThreadData, parentPort as TilePort);
parentPort?.close();
