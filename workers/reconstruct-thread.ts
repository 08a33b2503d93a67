/** Entry of the worker threads that rebuild models (src/merge/reconstruct.ts starts them). */
import { parentPort, workerData } from 'node:worker_threads';
import { type ReconstructPort, runReconstructLoop } from '../src/merge/reconstruct-loop.js';
import type { StoreConfig } from '../src/store/types.js';

await runReconstructLoop(workerData as StoreConfig, parentPort as ReconstructPort);
