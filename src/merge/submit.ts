import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import type { RequestFact } from '../catalog/merge-facts.js';
import type { MergeCatalog, MergeInputs, Outcome } from '../catalog/merges.js';
import type { CheckpointRecord } from '../catalog/records.js';
import { isKnown } from '../catalog/runs.js';
import { EmrError } from '../errors.js';
import type { WorkQueue } from '../queue/types.js';
import { type MergePlan, planMerge } from './plan.js';
import { countCells, requireCells, requirePlannable } from './plan-cells.js';
import { statisticsOf } from './registry.js';
import { requireReport } from './report-size.js';
import { type MergeRequest, requireTasks } from './request.js';

export interface Submission {
  readonly fact: RequestFact;
  /** False if the same merge was there already: waiting, running or done. */
  readonly created: boolean;
}

export interface Submitter {
  /** Everything that can be known from headers; stores nothing. `unknown_checkpoint` names all that are missing. */
  plan(namespace: string, request: MergeRequest): Promise<MergePlan>;
  /** `too_large` if to plan all of them is too much for one call. */
  requireBatch(namespace: string, requests: readonly MergeRequest[]): Promise<void>;
  /** Refuses what `submit` would refuse, and stores nothing; the id that the merge would have. */
  check(namespace: string, request: MergeRequest): Promise<string>;
  /** Whether `submit` would only find the merge: waiting, running or done. Refuses what `submit` would refuse. */
  isKnown(namespace: string, request: MergeRequest): Promise<boolean>;
  /** Accepts the merge and queues it; `merge_conflict` with the first MAX_LISTED conflicts, `name_taken`. */
  submit(namespace: string, request: MergeRequest): Promise<Submission>;
}

export interface SubmitOptions {
  readonly checkpoints: CheckpointCatalog;
  readonly merges: MergeCatalog;
  readonly queue: WorkQueue;
  /** Of one merge. */
  readonly maxTasks: number;
  /** Of one merge, and of all merges of a batch (plan-cells.ts). */
  readonly maxPlanCells: number;
  readonly maxBatchCells: number;
  /** An accepted merge that could not be queued; the reconciler will do it. */
  readonly onQueueError: (error: unknown) => void;
}

export function createSubmitter(options: SubmitOptions): Submitter {
  const { checkpoints, merges, queue, maxTasks, maxPlanCells, maxBatchCells, onQueueError } = options;
  const plan = async (namespace: string, request: MergeRequest): Promise<MergePlan> => {
    requireTasks(request.tasks.length, maxTasks);
    const records = await loadRecords(checkpoints, namespace, request);
    requirePlannable(
      inputsOf(request).map((name) => records.get(name)!),
      maxPlanCells,
    );
    const statistics = statisticsOf(request);
    const tasks = request.tasks.map(({ name, checkpoint }, t) => {
      return { name, record: records.get(checkpoint)!, statistics: records.get(statistics?.[t] ?? '') };
    });
    const planned = planMerge({ request, base: records.get(request.base)!, tasks });
    requireReport(planned);
    return planned;
  };

  const requireInputs = async (namespace: string, request: MergeRequest): Promise<MergeInputs> => {
    const planned = await plan(namespace, request);
    requireNoConflict(planned);
    const statistics = planned.tasks.flatMap((task) => task.statistics ?? []);
    return {
      base: planned.base,
      tasks: planned.tasks.map((task) => task.record),
      statistics: statistics.length > 0 ? statistics : undefined,
    };
  };

  const check = async (namespace: string, request: MergeRequest) =>
    merges.identify(namespace, request, await requireInputs(namespace, request));

  const requireBatch = async (namespace: string, requests: readonly MergeRequest[]) => {
    let total = 0;
    let last = { inputs: '', cells: 0 }; // those of a grid are all the same
    for (const request of requests) {
      const names = inputsOf(request);
      const inputs = names.join();
      if (inputs !== last.inputs) {
        const found = await findRecords(checkpoints, namespace, names);
        // What is missing is refused when its merge is planned.
        const records = names.flatMap((name) => found.get(name) ?? []);
        last = { inputs, cells: countCells(records, maxBatchCells) };
      }
      total += last.cells;
      requireCells(total, maxBatchCells, 'EMR_MAX_BATCH_CELLS', ' Ask for it as several batches.');
    }
  };

  return {
    plan,
    requireBatch,
    check,
    isKnown: async (namespace, request) => isKnown(merges, namespace, await check(namespace, request)),
    async submit(namespace, request) {
      const inputs = await requireInputs(namespace, request);
      const { fact, created, outcome } = await merges.accept(namespace, request, inputs);
      if (needsQueue(outcome)) {
        // The request is written down: whatever becomes of the queue now, the merge will be run.
        const { opening } = outcome;
        await queue.enqueue({ kind: 'merge', namespace, id: fact.id, opening }).catch(onQueueError);
      }
      return { fact, created };
    },
  };
}

const needsQueue = (outcome: Outcome) => outcome.state === 'open';

function requireNoConflict({ conflicts, conflictCount }: MergePlan): void {
  if (conflictCount === 0) return;
  const first = conflicts[0]!.detail;
  const more = conflictCount === 1 ? '' : ` And ${conflictCount - 1} more: see conflicts.`;
  const ofStatistics = conflicts.every(({ kind }) => kind === 'statistics_mismatch');
  throw new EmrError(ofStatistics ? 'statistics_mismatch' : 'merge_conflict', first + more, {
    conflicts,
    conflict_count: conflictCount,
  });
}

/** Base, tasks and statistics, each as often as it is one of them. */
function inputsOf(request: MergeRequest): string[] {
  const statistics = (statisticsOf(request) ?? []).flatMap((name) => name ?? []);
  return [request.base, ...request.tasks.map((task) => task.checkpoint), ...statistics];
}

async function findRecords(checkpoints: CheckpointCatalog, namespace: string, names: readonly string[]) {
  const distinct = [...new Set(names)];
  const found = await Promise.all(distinct.map((name) => checkpoints.find(namespace, name)));
  return new Map(distinct.map((name, i) => [name, found[i]]));
}

async function loadRecords(
  checkpoints: CheckpointCatalog,
  namespace: string,
  request: MergeRequest,
): Promise<Map<string, CheckpointRecord>> {
  const found = await findRecords(checkpoints, namespace, inputsOf(request));
  const missing = [...found].filter(([, record]) => record === undefined).map(([name]) => name);
  if (missing.length > 0) {
    throw new EmrError('unknown_checkpoint', `There is no checkpoint named ${missing.join(', ')}.`, {
      checkpoints: missing,
    });
  }
  return found as Map<string, CheckpointRecord>;
}
