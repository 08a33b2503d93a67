import { EmrError } from '../errors.js';
import type { Store } from '../store/types.js';
import { type JobFact, type JobResult, jobFact, jobResult } from './job-facts.js';
import { keys } from './keys.js';
import { createRuns, type Outcome, type Runs } from './runs.js';

export type JobOutcome = Outcome<JobResult>;

export interface JobCatalog extends Runs<JobFact, JobResult> {
  /** `unknown_job`. */
  get(namespace: string, id: string): Promise<JobFact>;
}

export function createJobCatalog(store: Store, now: () => number): JobCatalog {
  const runs = createRuns({ kind: 'job', store, now, folder: keys.jobs, request: jobFact, result: jobResult });
  return {
    ...runs,
    async get(namespace, id) {
      const fact = await runs.find(namespace, id);
      if (fact) return fact;
      throw new EmrError('unknown_job', `There is no job with the id ${id}.`, { job: id });
    },
  };
}
