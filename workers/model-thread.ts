/** Entry of the worker threads that run models (src/models/thread.ts starts them). */
import { parentPort, workerData } from 'node:worker_threads';
import { type ModelPort, runModelTask } from '../src/models/compute/run.js';
import type { ModelTask } from '../src/models/task.js';

await runModelTask(workerData as ModelTask, parentPort as ModelPort);
parentPort?.close();
