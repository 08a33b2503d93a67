import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { Evaluations } from '../catalog/evaluations.js';
import type { JobFact } from '../catalog/job-facts.js';
import type { JobCatalog } from '../catalog/jobs.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { isKnown } from '../catalog/runs.js';
import { EmrError } from '../errors.js';
import { requirePlannable } from '../merge/plan-cells.js';
import { requireTasks } from '../merge/request.js';
import type { WorkQueue } from '../queue/types.js';
import type { Inputs } from './inputs.js';
import { jobTypeOf } from './jobs/registry.js';
import { noteEvaluation } from './note-evaluation.js';
import { hasOutput, outputOf } from './output.js';
import { type JobRequest, jobId } from './request.js';

export interface JobSubmission {
  readonly fact: JobFact;
  /** False if the same job was there already: waiting, running or done. */
  readonly created: boolean;
}

export interface JobSubmitter {
  /** Accepts the job and queues it; refuses first what can be known from headers. */
  submit(namespace: string, request: JobRequest): Promise<JobSubmission>;
  /** Whether `submit` would only find the job: waiting, running or done. Refuses what `submit` would refuse. */
  isKnown(namespace: string, request: JobRequest): Promise<boolean>;
}

export interface JobSubmitOptions {
  readonly jobs: JobCatalog;
  readonly inputs: Inputs;
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  readonly evaluations: Evaluations;
  readonly queue: WorkQueue;
  /** Of one job. */
  readonly maxTasks: number;
  readonly maxPlanCells: number;
  readonly now: () => number;
  /** An accepted job that could not be queued; the reconciler will do it. */
  readonly onQueueError: (error: unknown) => void;
}

export function createJobSubmitter(options: JobSubmitOptions): JobSubmitter {
  const { jobs, inputs, queue, maxTasks, maxPlanCells, now, onQueueError } = options;
  const identify = async (namespace: string, asked: JobRequest) => {
    if ('tasks' in asked) {
      requireTasks(asked.tasks.length, maxTasks);
      const planned = [asked.base, ...asked.tasks.map(({ checkpoint }) => checkpoint)];
      requirePlannable(await Promise.all(planned.map((name) => inputs.record(namespace, name))), maxPlanCells);
    }
    const type = jobTypeOf(asked);
    const request = await type.check(namespace, asked, inputs);
    const names = [...new Set(type.checkpoints(request))].sort();
    const records = await Promise.all(names.map((name) => inputs.record(namespace, name)));
    const digests = Object.fromEntries(records.map(({ name, digest }) => [name, digest]));
    return { id: jobId(request, digests), request, digests };
  };

  return {
    isKnown: async (namespace, asked) => isKnown(jobs, namespace, (await identify(namespace, asked)).id),

    async submit(namespace, asked) {
      const { id, request, digests } = await identify(namespace, asked);
      await forgetLostOutput(options, namespace, id, request);
      const created_at = new Date(now()).toISOString();
      const { fact, created, outcome } = await jobs.open(namespace, { id, created_at, request, digests });
      // The request is written down: whatever becomes of the queue now, the job will be run.
      const { state, opening } = outcome;
      if (state === 'open') await queue.enqueue({ kind: 'job', namespace, id, opening }).catch(onQueueError);
      // The merge may have been deleted since, with its evaluations, and merged again.
      if (outcome.state === 'succeeded') await noteEvaluation(options, namespace, fact, outcome.result);
      return { fact, created };
    },
  };
}

/** A job whose checkpoint was deleted since is run again; `name_taken` if the name is another's. */
async function forgetLostOutput(
  { jobs, checkpoints }: JobSubmitOptions,
  namespace: string,
  id: string,
  request: JobRequest,
): Promise<void> {
  const output = outputOf(request);
  if (output === undefined || (await hasOutput(checkpoints, namespace, id, output))) return;
  if ((await jobs.outcome(namespace, id)).state !== 'succeeded') return;
  await jobs.remove(namespace, id).catch((error: unknown) => {
    // Somebody else was first, and has opened it anew.
    if (!(error instanceof EmrError) || error.code !== 'job_running') throw error;
  });
}
