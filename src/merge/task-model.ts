import type { CheckpointCatalog } from '../catalog/checkpoints.js';
import { keys } from '../catalog/keys.js';
import type { RequestFact, ResultFact } from '../catalog/merge-facts.js';
import type { CheckpointRecord } from '../catalog/records.js';
import { OWN_FILES } from '../checkpoint/limits.js';
import { readHeader } from '../checkpoint/safetensors-read.js';
import { EmrError } from '../errors.js';
import type { ObjectReader, Store } from '../store/types.js';
import { bundlePaths, type TaskLayout, taskLayout } from './bundle.js';
import { methodOf } from './registry.js';
import type { Report } from './report.js';

/** Where a tensor's bytes lie in an artifact. */
export interface Place {
  readonly dtype: string;
  readonly offset: number;
  readonly bytes: number;
}

/** All that a reconstruction of one task needs to know before it reads a weight. */
export interface TaskModel {
  readonly namespace: string;
  readonly fact: RequestFact;
  readonly result: ResultFact;
  readonly task: string;
  readonly base: CheckpointRecord;
  readonly layout: TaskLayout;
  /** Of the unified vector, or of the one model. */
  readonly output: ReadonlyMap<string, Place>;
  /** Of the task's masks; undefined for methods with one model. */
  readonly mask: ReadonlyMap<string, Place> | undefined;
  readonly extras: ReadonlyMap<string, Place>;
  readonly figures: Report['tasks'][string];
}

/** What the tasks of a merge share. */
export interface MergeOutput {
  readonly places: TaskModel['output'];
  readonly report: Report;
}

export async function loadMergeOutput(
  store: Store,
  namespace: string,
  fact: RequestFact,
  result: ResultFact,
): Promise<MergeOutput> {
  const prefix = keys.attempt(namespace, fact.id, result.attempt);
  const [places, report] = await Promise.all([
    readPlaces(store, prefix + (isModulated(fact) ? bundlePaths.unified : bundlePaths.model)),
    readJson(store, prefix + bundlePaths.report) as Promise<Report>,
  ]);
  return { places, report };
}

/** Loads what is known of a task of a merge that succeeded; `unknown_task`. */
export async function loadTaskModel(
  store: Store,
  shared: () => Promise<MergeOutput>,
  base: CheckpointRecord,
  namespace: string,
  fact: RequestFact,
  result: ResultFact,
  task: string,
): Promise<TaskModel> {
  if (!fact.request.tasks.some((known) => known.name === task)) {
    throw new EmrError('unknown_task', `Merge ${fact.id} has no task ${task}.`, { merge: fact.id, task });
  }
  const prefix = keys.attempt(namespace, fact.id, result.attempt);
  const [layout, mask, extras, { places, report }] = await Promise.all([
    readJson(store, prefix + bundlePaths.layout(task)).then((json) => taskLayout.parse(json)),
    isModulated(fact) ? readPlaces(store, prefix + bundlePaths.mask(task)) : undefined,
    readPlaces(store, prefix + bundlePaths.extras(task)),
    shared(),
  ]);
  return { namespace, fact, result, task, base, layout, output: places, mask, extras, figures: report.tasks[task]! };
}

const isModulated = ({ request }: RequestFact) => methodOf(request.method).output === 'modulated';

/** The base that was merged, wherever it lies now; `checkpoint_changed`. */
export async function requireBase(
  checkpoints: CheckpointCatalog,
  namespace: string,
  fact: RequestFact,
): Promise<CheckpointRecord> {
  const base = await checkpoints.find(namespace, fact.request.base);
  if (base?.digest === fact.digests.base) return base;
  throw new EmrError(
    'checkpoint_changed',
    `The base ${fact.request.base} was deleted or replaced: upload the one that was merged again.`,
    { checkpoint: fact.request.base, digest: fact.digests.base },
  );
}

/** Artifacts were written whole and checked; a merge's report grows with tensors times tasks. */
const MAX_JSON_BYTES = 2 ** 30;

async function readJson(store: Store, key: string): Promise<unknown> {
  const bytes = await store.readSmall(key, MAX_JSON_BYTES);
  if (bytes === undefined) throw new EmrError('artifact_corrupt', 'An artifact of the merge is gone.', { key });
  return JSON.parse(bytes.toString('utf8'));
}

async function readPlaces(store: Store, key: string): Promise<Map<string, Place>> {
  const reader = await openArtifact(store, key);
  try {
    const { tensors } = await readHeader(reader, OWN_FILES);
    return new Map(tensors.map(({ name, dtype, offset, bytes }) => [name, { dtype, offset, bytes }]));
  } finally {
    await reader.close();
  }
}

async function openArtifact(store: Store, key: string): Promise<ObjectReader> {
  try {
    return await store.openReader(key);
  } catch (error) {
    if (!(error instanceof EmrError) || error.code !== 'not_found') throw error;
    throw new EmrError('artifact_corrupt', 'An artifact of the merge is gone.', { key }, { cause: error });
  }
}
