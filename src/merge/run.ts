import { availableParallelism } from 'node:os';
import type { Sources } from '../catalog/sources.js';
import { DTYPE_BYTES, type FloatDtype } from '../dtype.js';
import { EmrError } from '../errors.js';
import { sumsLength } from '../kernels/types.js';
import type { Progress } from '../queue/types.js';
import type { Store } from '../store/types.js';
import { type Artifact, type ArtifactSet, type ArtifactWriter, artifactSet } from './artifact-writer.js';
import { bundlePaths } from './bundle.js';
import { copyRanges } from './copy.js';
import { itemElements } from './memory.js';
import { inputBytes, layoutJson, type MergePlan, type TaskPlan } from './plan.js';
import { createProgressMeter, type ProgressMeter } from './progress.js';
import { buildReport } from './report.js';
import { type ResultViews, type TileJob, tileItems } from './tile-job.js';
import { startTilePool } from './tile-pool.js';
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
 * One pass over base and tasks: unified vector (or model), masks and all sums come out of it; beside it what is kept
 * verbatim for each task is copied; then the report. Returns every artifact, durable in the store. On error nothing of it is left whole.
 */
export async function runMerge(options: RunOptions): Promise<Artifact[]> {
  const { plan, store, prefix, signal } = options;
  const extrasBytes = plan.tasks.reduce((sum, task) => sum + task.extrasLayout.bytes, 0);
  const meter = createProgressMeter(inputBytes(plan) + extrasBytes, options.onProgress);
  const artifacts = artifactSet(store, prefix);
  try {
    meter.phase('merging');
    const [sums] = await together(
      signal,
      (stop) => mergeTiles({ ...options, signal: stop }, artifacts, meter),
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

/** Streams every merged tensor through the threads; returns the sums of each, in the order of `plan.merged`. */
async function mergeTiles(options: RunOptions, artifacts: ArtifactSet, meter: ProgressMeter): Promise<Float64Array[]> {
  const { plan, store, sources, signal } = options;
  const wanted = options.threads ?? availableParallelism();
  const elements = options.itemElements ?? itemElements(plan, store, wanted);
  const job = tileJob(plan, store, elements);
  const items = tileItems(job.tensors, elements);

  const sums = plan.merged.map(() => new Float64Array(sumsLength(plan.tasks.length)));
  const threads = Math.max(1, Math.min(wanted, items.length));
  // First, since threads take a while to start.
  const pool = startTilePool(options.tileThreads, job, items.length === 0 ? 0 : threads);
  const stop = () => void pool.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
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
        signal.throwIfAborted();
        const { n } = items[next]!;
        const tile = await nextTile(pool.next(n, DTYPE_BYTES[job.tensors[index]!.output]), plan, signal);
        await Promise.all([output.write(tile.output), ...masks.map((mask, t) => mask.write(tile.masks[t]!))]);
        addRows(sums[index]!, tile.sums);
        meter.add(n * bytesPerElement(job, index));
      }
    }
    await pool.finish();
    for (const writer of [output, ...masks]) await artifacts.close(writer);
  } finally {
    signal.removeEventListener('abort', stop);
    await pool.close();
  }
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

async function nextTile(result: Promise<ResultViews>, plan: MergePlan, signal: AbortSignal): Promise<ResultViews> {
  try {
    return await result;
  } catch (error) {
    signal.throwIfAborted(); // The threads were stopped: the reason is the signal's.
    if (error instanceof EmrError && typeof error.facts.input === 'number') throw nameCheckpoint(error, plan);
    throw error;
  }
}

/** Adds a thread's finding (which input, tensor and index) the names that a user knows. */
function nameCheckpoint(error: EmrError, plan: MergePlan): EmrError {
  const { input, ...facts } = error.facts as { input: number; tensor: string; index: number };
  const task = input > 0 ? plan.tasks[input - 1] : undefined;
  const checkpoint = task?.record.name ?? plan.base.name;
  const where = `${facts.tensor} at flat index ${facts.index} of checkpoint ${checkpoint}`;
  return new EmrError(error.code, `${error.detail} It is ${where}.`, {
    checkpoint,
    ...(task ? { task: task.name } : {}),
    ...facts,
  });
}

function tileJob(plan: MergePlan, store: Store, itemElements: number): TileJob {
  const records = [plan.base, ...plan.tasks.map((task) => task.record)];
  const fileNumber = records.map((record) => new Map(record.files.map((file, index) => [file.name, index])));
  return {
    store: store.config,
    engine: plan.request.engine,
    files: records.map((record) => record.files),
    tensors: plan.merged.map(({ name, n, output, program, base, tasks }) => ({
      name,
      n,
      output,
      program,
      inputs: [base, ...tasks].map(({ file, offset, dtype }, input) => ({
        file: fileNumber[input]!.get(file)!,
        offset,
        dtype: dtype as FloatDtype, // merged tensors are float
      })),
    })),
    itemElements,
    masks: plan.mask !== undefined,
    cursor: new SharedArrayBuffer(4),
  };
}

function bytesPerElement(job: TileJob, tensor: number): number {
  return job.tensors[tensor]!.inputs.reduce((sum, input) => sum + DTYPE_BYTES[input.dtype], 0);
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
