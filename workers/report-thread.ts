/** Entry of the worker thread that draws the page of one report (src/report-page/renderer.ts starts it). */
import { parentPort, workerData } from 'node:worker_threads';
import { renderPage } from '../src/report-page/page.js';
import { readJob } from '../src/report-page/thread-job.js';

parentPort!.postMessage(renderPage(readJob(workerData)));
