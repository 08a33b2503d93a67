import type { JobFact } from '../catalog/job-facts.js';
import type { JobCatalog } from '../catalog/jobs.js';
import type { WorkQueue } from '../queue/types.js';
import { viewRun } from './run-view.js';
import { type JobView, jobView } from './schemas/job.js';

/** A job as the API shows it. */
export async function viewJob(
  { jobs, queue }: { jobs: JobCatalog; queue: WorkQueue },
  namespace: string,
  { id, created_at, request }: JobFact,
): Promise<JobView> {
  const run = await viewRun(await jobs.outcome(namespace, id), queue, { kind: 'job', namespace, id });
  return jobView.parse({ id, created_at, request, ...run });
}
