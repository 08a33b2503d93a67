import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import { readFact, writeFact } from '../catalog/facts.js';
import type { JobCatalog } from '../catalog/jobs.js';
import { keys } from '../catalog/keys.js';
import type { MergeCatalog } from '../catalog/merges.js';
import { EmrError } from '../errors.js';
import type { MergeRequest } from '../merge/request.js';
import type { Store } from '../store/types.js';
import { datasetTensors } from './dataset.js';
import type { Inputs } from './inputs.js';
import { type JobRequest, jobId, jobRequest } from './request.js';
import type { JobSubmitter } from './submit.js';

/** A data set for each task that is to be evaluated when its merge has succeeded. */
export const evaluationPlan = z.record(z.string(), z.string());
export type EvaluationPlan = z.output<typeof evaluationPlan>;

const askedFact = z.object({ task: z.string(), dataset: z.string() });
export type AskedEvaluation = z.output<typeof askedFact>;

/**
 * Evaluations that are asked for before there is anything to evaluate. That they are wanted is a fact of the merge; once
 * it has succeeded each becomes a job, whose id follows from its request: asked for twice, it is one job.
 */
export interface FollowUp {
  /** Refuses what can be known from headers: a task, data set, topology or labels that do not fit. */
  check(namespace: string, request: MergeRequest, plan: EvaluationPlan): Promise<void>;
  /** Writes down what is wanted of a merge, and queues it if the merge has succeeded. Jobs that failed run again. */
  ask(namespace: string, merge: string, plan: EvaluationPlan): Promise<void>;
  /** Queues what is wanted of a merge that has succeeded and is no job yet. */
  follow(namespace: string, merge: string): Promise<number>;
  /** The same for every merge: after a restart, or when a worker ended between a merge and its evaluations. */
  reconcile(namespace: string, signal?: AbortSignal): Promise<number>;
  /** The job that evaluates so, undefined while it is not accepted. */
  jobOf(namespace: string, merge: string, asked: AskedEvaluation): Promise<string | undefined>;
  /** Why what was asked of a merge that has succeeded cannot become a job, undefined if it can. */
  refusalOf(namespace: string, merge: string, asked: AskedEvaluation): Promise<EmrError | undefined>;
}

export interface FollowUpOptions {
  readonly store: Store;
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  readonly jobs: JobCatalog;
  readonly inputs: Inputs;
  readonly jobSubmitter: JobSubmitter;
  /** What was accepted and cannot be run any more: a data set that is gone since, for example. */
  readonly onRefusal: (error: unknown, merge: string, asked: AskedEvaluation) => void;
}

export function createFollowUp(options: FollowUpOptions): FollowUp {
  const { store, checkpoints, merges, jobs, inputs, jobSubmitter, onRefusal } = options;
  /** Merges of which nothing is wanted any more. */
  const settled = new Set<string>();

  const jobOf = async (namespace: string, merge: string, asked: AskedEvaluation) => {
    const dataset = await checkpoints.find(namespace, asked.dataset);
    if (dataset === undefined) return undefined;
    const id = jobId(requestOf(merge, asked), { [asked.dataset]: dataset.digest });
    return (await jobs.find(namespace, id)) && id;
  };

  /** Whether it is a job that needs nothing more: one that succeeded for a merge that was deleted since has to be noted. */
  const isJob = async (namespace: string, merge: string, asked: AskedEvaluation) => {
    const job = await jobOf(namespace, merge, asked);
    if (job === undefined || (await jobs.outcome(namespace, job)).state !== 'succeeded') return job !== undefined;
    return (await store.stat(keys.evaluation(namespace, merge, job))) !== undefined;
  };

  const submitAll = async (namespace: string, merge: string, isAgain: boolean): Promise<number> => {
    let queued = 0;
    for await (const { objects } of store.list(keys.askedEvaluations(namespace, merge))) {
      for (const { key } of objects) {
        const asked = await readFact(store, key, askedFact);
        if (asked === undefined || (!isAgain && (await isJob(namespace, merge, asked)))) continue;
        try {
          const { created } = await jobSubmitter.submit(namespace, requestOf(merge, asked));
          queued += created ? 1 : 0;
        } catch (error) {
          onRefusal(refusal(error), merge, asked);
        }
      }
    }
    return queued;
  };

  const follow = async (namespace: string, merge: string, isAgain = false): Promise<number> => {
    const { state } = await merges.outcome(namespace, merge);
    return state === 'succeeded' ? submitAll(namespace, merge, isAgain) : 0;
  };

  return {
    jobOf,
    follow: (namespace, merge) => follow(namespace, merge),

    async refusalOf(namespace, merge, asked) {
      try {
        await jobSubmitter.isKnown(namespace, requestOf(merge, asked));
        return undefined;
      } catch (error) {
        return refusal(error);
      }
    },

    async check(namespace, { tasks }, plan) {
      for (const [name, dataset] of Object.entries(plan)) {
        const task = tasks.find((one) => one.name === name);
        if (task === undefined) throw new EmrError('unknown_task', `The merge has no task ${name}.`, { task: name });
        const { inputShape } = await inputs.topology(await inputs.record(namespace, task.checkpoint));
        datasetTensors(await inputs.record(namespace, dataset), true, inputShape);
      }
    },

    async ask(namespace, merge, plan) {
      for (const [task, dataset] of Object.entries(plan)) {
        const id = createHash('sha256').update(`${task}\n${dataset}`).digest('hex').slice(0, 32);
        await writeFact(store, keys.askedEvaluation(namespace, merge, id), { task, dataset });
      }
      await follow(namespace, merge, true);
    },

    async reconcile(namespace, signal) {
      let queued = 0;
      const look = async (id: string) => {
        const fact = await merges.find(namespace, id);
        // One that is deleted and asked for again has the same id.
        const run = `${namespace}/${id} ${fact?.created_at}`;
        if (fact === undefined || settled.has(run)) return;
        if ((await merges.outcome(namespace, id)).state !== 'succeeded') return;
        const fresh = await submitAll(namespace, id, false);
        queued += fresh; // in one step: other looks count too
        settled.add(run);
      };
      await merges.eachId(namespace, look, signal);
      return queued;
    },
  };
}

/** The error, if to ask again does not help; throws it if it does. */
function refusal(error: unknown): EmrError {
  if (error instanceof EmrError && !error.retry) return error;
  throw error;
}

const requestOf = (merge: string, { task, dataset }: AskedEvaluation): JobRequest =>
  jobRequest.parse({ type: 'evaluate', model: { merge, task }, dataset });
