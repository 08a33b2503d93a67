import type { Inputs } from '../inputs.js';
import type { JobRequest } from '../request.js';
import type { ModelTask } from '../task.js';

/** What the API and a worker know of a type of job; what is computed lies in ../compute, in a thread. */
export interface JobType<R extends JobRequest = JobRequest> {
  /** Names of the checkpoints that it reads; their digests are part of its identity. */
  checkpoints(request: R): string[];
  /** Refuses what can be known from headers. The request in the form that is hashed: merges by id. */
  check(namespace: string, request: R, inputs: Inputs): Promise<R>;
  /** Everything that the thread needs, read into memory. */
  load(namespace: string, request: R, inputs: Inputs, signal: AbortSignal): Promise<ModelTask>;
}
