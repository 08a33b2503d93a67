import { availableParallelism } from 'node:os';
import type { Sources } from '../catalog/sources.js';
import { DTYPE_BYTES } from '../dtype.js';
import { EmrError } from '../errors.js';
import { sumsLength } from '../kernels/types.js';
import type { Progress } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { type Artifact, type ArtifactSet, type ArtifactWriter, artifactSet } from './artifact-writer.js';
import { bundlePaths } from './bundle.js';
import { copyRanges } from './copy.js';
import { makeJob } from './make-job.js';
import { itemElements } from './memory.js';
import { layoutJson, type MergePlan, type TaskPlan } from './plan.js';
import { createProgressMeter, type ProgressMeter } from './progress.js';
import { buildReport } from './report.js';
import { inputBytes } from './stages.js';
import { type RunStage, surveyPlan } from './survey.js';
import { type ResultViews, type TileItem, type TileJob, tileItems } from './tile-job.js';
import { startTilePool, type TilePool } from './tile-pool.js';
import type { TileThreads } from './tile-threads.js';
import { together } from './together.js';

export interface RunOptions {
  readonly plan: MergePlan;
  readonly store: Store;
  readonly sources: Sources;
  readonly tileThreads: TileThreads;
  /** Key prefix of this attempt; everything is written below it. */
  readonly prefix: string;
  readonly threads?: number | undefined;
  /** Elements read at a time from each input; a multiple of TILE_ELEMENTS. Changes speed and memory, never a bit. */
  readonly itemElements?: number | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/**
 * What must be known beforehand, then one pass over base and tasks: unified vector (or model), masks and all sums come
 * out of it; beside it what is kept verbatim for each task is copied; then the report. Returns every artifact, durable in
 * the store. On error nothing of it is left whole.
 */
export async function runMerge(options: RunOptions): Promise<Artifact[]> {
  const { plan, store, prefix, signal } = options;
  const extrasBytes = plan.tasks.flatMap((task) => task.extras).reduce((sum, { bytes }) => sum + bytes, 0);
  const meter = createProgressMeter(inputBytes(plan) + extrasBytes, options.onProgress);
  const artifacts = artifactSet(store, prefix);
  try {
    const elements = options.itemElements ?? itemElements(plan, store, threadsOf(options));
    const runStage: RunStage = async (stage, parts, each) => {
      meter.phase('surveying');
      const job = makeJob(plan, store, elements, stage, parts);
      await withPool(options, job, async (pool, items) => {
        for (const item of items) each((await nextTile(pool, job, item, options, meter)).sums, item);
      });
    };
    const programs = await surveyPlan(plan, runStage);
    meter.phase('merging');
    const parts = plan.merged.map((tensor, k) => ({ tensor, program: programs[k]! }));
    const job = makeJob(plan, store, elements, 'merge', parts);
    const [sums] = await together(
      signal,
      (stop) => mergeTiles({ ...options, signal: stop }, job, artifacts, meter),
      (stop) => copyTasks({ ...options, signal: stop }, artifacts, meter),
    );
    signal.throwIfAborted();
    meter.phase('writing');
    await artifacts.write(bundlePaths.report, Buffer.from(`${JSON.stringify(buildReport(plan, sums))}\n`));
    return await artifacts.finish();
  } catch (error) {
    await artifacts.abort();
    throw error;
  }
}

const threadsOf = ({ threads }: RunOptions) => threads ?? availableParallelism();

/** Gives the threads a job for as long as `use` takes; what `use` does not take to its end is stopped. */
async function withPool<T>(
  options: RunOptions,
  job: TileJob,
  use: (pool: TilePool, items: readonly TileItem[]) => Promise<T>,
): Promise<T> {
  const items = tileItems(job.tensors, job.itemElements);
  const pool = startTilePool(options.tileThreads, job, Math.min(threadsOf(options), items.length));
  const stop = () => void pool.close();
  options.signal.addEventListener('abort', stop, { once: true });
  try {
    options.signal.throwIfAborted();
    const result = await use(pool, items);
    await pool.finish();
    return result;
  } finally {
    options.signal.removeEventListener('abort', stop);
    await pool.close();
  }
}

/** Streams every merged tensor through the threads; returns the sums of each, in the order of `plan.merged`. */
async function mergeTiles(
  options: RunOptions,
  job: TileJob,
  artifacts: ArtifactSet,
  meter: ProgressMeter,
): Promise<Float64Array[]> {
  const { plan, sources, signal } = options;
  const sums = plan.merged.map(() => new Float64Array(sumsLength(plan.tasks.length)));
  // The pool first, since threads take a while to start.
  const writers = await withPool(options, job, async (pool, items) => {
    const { output, masks } = await openOutputs(plan, artifacts);
    let next = 0;
    const mergedIndex = new Map(plan.merged.map((tensor, index) => [tensor.name, index]));
    const ofBase = new Map(plan.base.tensors.map((tensor) => [tensor.name, tensor]));
    for (const { name } of plan.output.tensors) {
      const index = mergedIndex.get(name);
      if (index === undefined) {
        const tensor = ofBase.get(name)!;
        await copyRanges(sources, fileOf(plan.base, tensor.file), [tensor], output, signal);
        continue;
      }
      for (; items[next]?.tensor === index; next++) {
        const tile = await nextTile(pool, job, items[next]!, options, meter);
        await Promise.all([output.write(tile.output), ...masks.map((mask, t) => mask.write(tile.masks[t]!))]);
        addRows(sums[index]!, tile.sums);
      }
    }
    return [output, ...masks];
  });
  for (const writer of writers) await artifacts.close(writer);
  return sums;
}

/** The unified vector or the one model, and where there are masks one for each task; headers written. */
async function openOutputs(plan: MergePlan, artifacts: ArtifactSet) {
  const open = async (path: string, { bytes, header }: MergePlan['output']): Promise<ArtifactWriter> => {
    const writer = await artifacts.open(path, bytes);
    await writer.write(header);
    return writer;
  };
  const { mask } = plan;
  const [output, ...masks] = await Promise.all([
    open(mask ? bundlePaths.unified : bundlePaths.model, plan.output),
    ...(mask ? plan.tasks.map(({ name }) => open(bundlePaths.mask(name), mask)) : []),
  ]);
  return { output, masks };
}

/** The results of the next item, whose bytes are then done; a fault with the names that a user knows. */
async function nextTile(
  pool: TilePool,
  job: TileJob,
  item: TileItem,
  { plan, signal }: RunOptions,
  meter: ProgressMeter,
): Promise<ResultViews> {
  signal.throwIfAborted();
  const { n, bytes, output } = job.tensors[item.tensor]!;
  try {
    const result = await pool.next(item.n, DTYPE_BYTES[output]);
    const share = (elements: number) => Math.round((bytes / n) * elements);
    meter.add(share(item.start + item.n) - share(item.start));
    return result;
  } catch (error) {
    signal.throwIfAborted(); // The threads were stopped: the reason is the signal's.
    if (error instanceof EmrError && typeof error.facts.input === 'number') throw nameCheckpoint(error, plan);
    throw error;
  }
}

type Fault = { input: number; statistic?: true; tensor: string; index: number };

/** Adds a thread's finding (which input, tensor and index) the names that a user knows. */
function nameCheckpoint(error: EmrError, plan: MergePlan): EmrError {
  const { input, statistic, ...facts } = error.facts as Fault;
  const task = input > 0 ? plan.tasks[input - 1] : undefined;
  const checkpoint = (statistic ? task?.statistics : (task?.record ?? plan.base))!.name;
  const where = `${facts.tensor} at flat index ${facts.index} of checkpoint ${checkpoint}`;
  return new EmrError(error.code, `${error.detail} It is ${where}.`, {
    checkpoint,
    ...(task ? { task: task.name } : {}),
    ...facts,
  });
}

/** Adds the rows of a result, one for each tile, in index order: the order of f64 additions is fixed by the tiles. */
function addRows(total: Float64Array, rows: Float64Array): void {
  for (let i = 0; i < rows.length; i++) total[i % total.length]! += rows[i]!;
}

async function copyTasks(options: RunOptions, artifacts: ArtifactSet, meter: ProgressMeter): Promise<void> {
  for (const task of options.plan.tasks) await copyTask(options, task, artifacts, meter);
}

/** The tensors and files that are the task's own. */
async function copyTask(
  { sources, signal }: RunOptions,
  { name, record, extras, extrasLayout, layout }: TaskPlan,
  artifacts: ArtifactSet,
  meter: ProgressMeter,
): Promise<void> {
  const source = new Map(extras.map((tensor) => [tensor.name, tensor]));
  const target = await artifacts.open(bundlePaths.extras(name), extrasLayout.bytes);
  await target.write(extrasLayout.header);
  for (const { name: tensor } of extrasLayout.tensors) {
    const { file, offset, bytes } = source.get(tensor)!;
    await copyRanges(sources, fileOf(record, file), [{ offset, bytes }], target, signal);
    meter.add(bytes);
  }
  await artifacts.close(target);
  await artifacts.write(bundlePaths.layout(name), layoutJson(layout));
  for (const side of layout.files) {
    const file = fileOf(record, side);
    const copy = await artifacts.open(bundlePaths.file(name, side), file.bytes);
    await copyRanges(sources, file, [{ offset: 0, bytes: file.bytes }], copy, signal);
    await artifacts.close(copy);
  }
}

function fileOf(record: TaskPlan['record'], name: string) {
  return record.files.find((file) => file.name === name)!;
}
