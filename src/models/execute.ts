import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { Evaluations } from '../catalog/evaluations.js';
import type { JobFact, JobResult } from '../catalog/job-facts.js';
import type { JobCatalog } from '../catalog/jobs.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { endFailed } from '../catalog/runs.js';
import type { Uploads } from '../catalog/uploads.js';
import { EmrError } from '../errors.js';
import type { JobContext, JobHandler } from '../queue/types.js';
import type { Inputs } from './inputs.js';
import { jobTypeOf } from './jobs/registry.js';
import { noteEvaluation } from './note-evaluation.js';
import { storeOutput } from './output.js';
import type { ModelResult } from './task.js';
import { runModelThread } from './thread.js';

export interface JobExecuteOptions {
  readonly jobs: JobCatalog;
  readonly inputs: Inputs;
  readonly merges: MergeCatalog;
  readonly checkpoints: CheckpointCatalog;
  readonly uploads: Uploads;
  readonly evaluations: Evaluations;
  readonly now: () => number;
}

/** Runs a job from its facts, and ends it with one. It may run twice at the same time; the first result counts. */
export function createJobHandler(options: JobExecuteOptions): JobHandler {
  const { jobs, now } = options;
  return async ({ namespace, id, opening = 0 }, context) => {
    const fact = await jobs.find(namespace, id);
    const before = await jobs.outcome(namespace, id);
    if (fact === undefined || before.state !== 'open' || before.opening !== opening) return;
    const started = now();
    try {
      const { backend, values, tensors = [] } = await compute(options, namespace, fact, context);
      context.signal.throwIfAborted();
      const finished = now();
      const result: JobResult = {
        ...values,
        backend,
        finished_at: new Date(finished).toISOString(),
        seconds: (finished - started) / 1000,
      };
      // Someone may have ended or deleted the job meanwhile without reaching this process.
      if ((await jobs.outcome(namespace, id)).state !== 'open' || !(await jobs.find(namespace, id))) return;
      // What a job makes comes first: once it has succeeded, all of it is there.
      await storeOutput(options, namespace, fact, tensors, context.signal);
      await noteEvaluation(options, namespace, fact, result);
      await jobs.succeed(namespace, id, result);
    } catch (failure) {
      await endFailed(jobs, { namespace, opening }, fact, context, failure);
    }
  };
}

/** The checkpoints must be those that the job was accepted for; another is `checkpoint_changed`. */
async function compute(
  { inputs }: JobExecuteOptions,
  namespace: string,
  { request, digests }: JobFact,
  context: JobContext,
): Promise<ModelResult> {
  const type = jobTypeOf(request);
  for (const name of type.checkpoints(request)) {
    if ((await inputs.record(namespace, name)).digest === digests[name]) continue;
    throw new EmrError('checkpoint_changed', `${name} was replaced after the job was accepted: ask for it again.`, {
      checkpoint: name,
    });
  }
  context.progress({ phase: 'reading', bytes_done: 0, bytes_total: 0, bytes_per_second: 0 });
  return runModelThread(await type.load(namespace, request, inputs, context.signal), context);
}
