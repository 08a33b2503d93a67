import type { z } from 'zod';
import type { Outcome } from '../catalog/runs.js';
import type { Job, Progress, WorkQueue } from '../queue/types.js';
import type { failureView, progressView } from './schemas/run.js';

/** What the API shows of any run: its state from the facts, and while there is no outcome from the queue. */
export type RunView<Result> = {
  readonly attempts: number;
} & (
  | { readonly state: 'queued' | 'cancelled' }
  | { readonly state: 'running'; readonly progress?: z.output<typeof progressView> }
  | { readonly state: 'succeeded'; readonly result: Result }
  | { readonly state: 'failed'; readonly error: z.output<typeof failureView> }
);

export async function viewRun<Result>(
  outcome: Outcome<Result>,
  queue: Pick<WorkQueue, 'status'>,
  job: Job,
): Promise<RunView<Result>> {
  if (outcome.state === 'succeeded') return { attempts: 0, state: 'succeeded', result: outcome.result };
  if (outcome.state === 'cancelled') return { attempts: 0, state: 'cancelled' };
  if (outcome.state === 'failed') {
    const { facts, ...error } = outcome.error;
    return { attempts: 0, state: 'failed', error: { ...facts, ...error } };
  }
  // A queue that does not answer knows nothing: the run is accepted all the same, and waits.
  const status = await queue.status({ ...job, opening: outcome.opening }).catch(() => undefined);
  const attempts = status?.attempts ?? 0;
  if (status?.state !== 'active') return { attempts, state: 'queued' };
  return { attempts, state: 'running', ...(status.progress ? { progress: withEstimates(status.progress) } : {}) };
}

function withEstimates(progress: Progress) {
  const { bytes_done, bytes_total, bytes_per_second } = progress;
  const percent = bytes_total === 0 ? 0 : Math.floor((1000 * bytes_done) / bytes_total) / 10;
  const eta = bytes_per_second > 0 ? Math.round((bytes_total - bytes_done) / bytes_per_second) : null;
  return { ...progress, percent, eta_seconds: eta };
}
