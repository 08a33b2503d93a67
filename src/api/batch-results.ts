import { z } from 'zod';
import type { BatchFact } from '../catalog/batches.js';
import type { RequestFact } from '../catalog/merge-facts.js';
import { bundlePaths } from '../merge/bundle.js';
import { methodParams } from '../merge/registry.js';
import { lastStep, mean } from '../report-page/steps.js';
import type { ReportData } from '../report-page/types.js';
import type { Services } from '../services.js';
import { csv } from './csv.js';
import { viewMerge } from './merge-view.js';
import { viewRun } from './run-view.js';
import { failureView, type RunState, runState } from './schemas/run.js';

const evaluationRow = z.object({
  dataset: z.string(),
  state: z
    .enum(['waiting', 'refused', ...runState.options])
    .describe(
      '`waiting`: until its merge has succeeded; if that failed or was cancelled, so has this. `refused`: it cannot be ' +
        'run, `error` says why; a data set that was deleted meanwhile, for example. Ask for the batch again after mending it.',
    ),
  accuracy: z.number().optional(),
  loss: z.number().optional(),
  error: failureView.partial({ failed_at: true }).optional(),
});

export const resultRow = z
  .object({
    merge: z.string(),
    name: z.string().optional(),
    method: methodParams,
    state: runState,
    evaluations: z.record(z.string(), evaluationRow).describe('By task.'),
    average_accuracy: z.number().optional().describe('Over the tasks of `evaluate`, once all have been evaluated.'),
    distance: z
      .number()
      .optional()
      .describe('L2 to the fine-tunes after the last step that the method takes, mean over tasks.'),
    cosine: z
      .number()
      .optional()
      .describe('Of the task vectors after the last step that the method takes, mean over tasks.'),
    bytes: z.int().optional().describe('Of all files of the merge.'),
    error: failureView.optional(),
  })
  .meta({ id: 'BatchResult' });
export type ResultRow = z.output<typeof resultRow>;

type Parts = Pick<Services, 'merges' | 'models' | 'queue' | 'jobs' | 'evaluations' | 'followUp' | 'webhooks'>;

/** One row for each merge of the batch that is still there, in its order. */
export async function batchResults(parts: Parts, namespace: string, batch: BatchFact): Promise<ResultRow[]> {
  const rows: ResultRow[] = [];
  // One after another: each may read a report.
  for (const id of batch.merges) {
    const fact = await parts.merges.find(namespace, id);
    if (fact) rows.push(await rowOf(parts, namespace, fact, batch.evaluate ?? {}));
  }
  return rows;
}

async function rowOf(
  parts: Parts,
  namespace: string,
  fact: RequestFact,
  evaluate: Readonly<Record<string, string>>,
): Promise<ResultRow> {
  const { id, name, state, request, result, error } = await viewMerge(parts, namespace, fact);
  const evaluations: ResultRow['evaluations'] = {};
  for (const [task, dataset] of Object.entries(evaluate)) {
    evaluations[task] = await evaluationOf(parts, namespace, id, { task, dataset }, state);
  }
  const accuracies = Object.values(evaluations).map((one) => one.accuracy);
  const isWhole = accuracies.length > 0 && accuracies.every((accuracy) => accuracy !== undefined);
  return {
    merge: id,
    ...(name === undefined ? {} : { name }),
    method: request.method,
    state,
    evaluations,
    ...(isWhole ? { average_accuracy: mean(accuracies) } : {}),
    ...(result ? { ...(await nearness(parts, namespace, fact)), bytes: result.bytes } : {}),
    ...(error ? { error } : {}),
  };
}

async function evaluationOf(
  { evaluations, followUp, jobs, queue }: Parts,
  namespace: string,
  merge: string,
  asked: { readonly task: string; readonly dataset: string },
  stateOfMerge: RunState,
): Promise<ResultRow['evaluations'][string]> {
  const { task, dataset } = asked;
  const job = await followUp.jobOf(namespace, merge, asked);
  if (job !== undefined) {
    const outcome = await jobs.outcome(namespace, job);
    const run = await viewRun(outcome, queue, { kind: 'job', namespace, id: job });
    if (run.state !== 'succeeded')
      return { dataset, state: run.state, ...('error' in run ? { error: run.error } : {}) };
  }
  // Also of a data set that has been deleted since; the newest is the last.
  const known = (await evaluations.list(namespace, merge)).filter(
    (one) => one.task === task && one.dataset === dataset && !one.rescaler && !one.scope && !one.steps,
  );
  const last = known.findLast((one) => one.job === job) ?? known.at(-1);
  if (last) return { dataset, state: 'succeeded', accuracy: last.accuracy, loss: last.loss };
  if (stateOfMerge === 'failed' || stateOfMerge === 'cancelled') return { dataset, state: stateOfMerge };
  const refusal = stateOfMerge === 'succeeded' && (await followUp.refusalOf(namespace, merge, asked));
  if (!refusal) return { dataset, state: 'waiting' };
  const { code, detail, facts } = refusal;
  return { dataset, state: 'refused', error: { ...facts, code, detail } };
}

async function nearness({ models }: Parts, namespace: string, fact: RequestFact) {
  const file = await models.artifact(namespace, fact, bundlePaths.report);
  const chunks: Buffer[] = [];
  // The reader uses its buffers again.
  for await (const chunk of file.read(0, file.bytes, Promise.resolve())) chunks.push(Buffer.from(chunk));
  const report = JSON.parse(Buffer.concat(chunks).toString('utf8')) as ReportData;
  const last = Object.values(report.tasks).map((task) => lastStep(task, report));
  return { distance: mean(last.map((step) => step.distance)), cosine: mean(last.map((step) => step.cosine)) };
}

/** The same as a table; parameters that any method of the batch has are columns of their own. */
export function resultsTable(rows: readonly ResultRow[], evaluate: Readonly<Record<string, string>>): string {
  const parameters = rows.map(({ method: { type: _type, ...rest } }) => new Map(flatten(rest)));
  const names = [...new Set(parameters.flatMap((row) => [...row.keys()]))];
  const tasks = Object.keys(evaluate);
  const head = [
    ...['merge', 'name', 'state', 'method'],
    ...names,
    ...tasks.flatMap((task) => [`state:${task}`, `accuracy:${task}`]),
    ...['average_accuracy', 'distance', 'cosine', 'bytes', 'error'],
  ];
  return csv(
    head,
    rows.map((row, i) => [
      ...[row.merge, row.name, row.state, row.method.type],
      ...names.map((name) => parameters[i]!.get(name)),
      ...tasks.flatMap((task) => [row.evaluations[task]?.state, row.evaluations[task]?.accuracy]),
      ...[row.average_accuracy, row.distance, row.cosine, row.bytes, codesOf(row)],
    ]),
  );
}

/** Why the merge failed, or else its evaluations: each code once. */
function codesOf({ error, evaluations }: ResultRow): string {
  const errors = error ? [error] : Object.values(evaluations).flatMap((one) => one.error ?? []);
  return [...new Set(errors.map(({ code }) => code))].join(' ');
}

/** `inner: {lambda: 1}` as `inner.lambda`. */
function flatten(fields: object, prefix = ''): [string, string | number][] {
  return Object.entries(fields).flatMap(([key, value]): [string, string | number][] => {
    if (value === undefined) return [];
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return flatten(value, `${prefix}${key}.`);
    return [[prefix + key, typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)]];
  });
}
