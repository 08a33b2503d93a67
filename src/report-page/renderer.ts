import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import type { PageJob } from './thread-job.js';

const THREAD_ENTRY = new URL('../../workers/report-thread.js', import.meta.url);
/** The largest report makes some MB of markup; what JSON and plots take on the way is many times that. */
const LIMITS = { maxOldGenerationSizeMb: 1024 };
/** Of a few hundred kB each, mostly: a page is looked at more than once. */
const CACHED_PAGES = 16;

export interface Page {
  readonly html: string;
  /** Strong, without quotes. */
  readonly etag: string;
}

export interface PageRenderer {
  render(job: PageJob): Promise<Page>;
  close(): Promise<void>;
}

/**
 * Draws pages in a thread that is started for each and gone after it: loading the plotting library and drawing take up to
 * seconds, in which the server's own thread would answer nobody. One at a time, whatever is asked for at once.
 */
export function createPageRenderer(): PageRenderer {
  const pages = new LRUCache<string, Promise<Page>>({ max: CACHED_PAGES });
  let last: Promise<unknown> = Promise.resolve();
  let running: Worker | undefined;
  let closed = false;

  const draw = async (job: PageJob): Promise<Page> => {
    if (closed) throw new Error('The server is closing.');
    // The library checks itself, and warns on the console, unless it is told that this is no development.
    const env = { ...process.env, NODE_ENV: 'production' };
    running = new Worker(THREAD_ENTRY, { workerData: job, resourceLimits: LIMITS, env });
    const html = await answerOf(running);
    return { html, etag: sha256(html) };
  };

  return {
    render(job) {
      const key = keyOf(job);
      const known = pages.get(key);
      if (known) return known;
      const page = last.then(() => draw(job));
      last = page.catch(() => pages.delete(key));
      pages.set(key, page);
      return page;
    },
    async close() {
      closed = true;
      await running?.terminate();
    },
  };
}

function answerOf(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve).once('error', reject);
    worker.once('exit', () => reject(new Error('The thread that draws reports ended without a page.')));
  });
}

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');

const keyOf = ({ merge, report, evaluations }: PageJob) => sha256(JSON.stringify([merge, sha256(report), evaluations]));
