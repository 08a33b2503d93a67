import { type Artifact, type ArtifactSet, artifactSet } from './artifact-writer.js';
import { bundlePaths } from './bundle.js';
import { copyRanges, fileOf } from './copy.js';
import { makeJob } from './make-job.js';
import { itemElements } from './memory.js';
import { mergeTiles } from './merge-pass.js';
import { nextTile, type RunOptions, threadsOf, withPool } from './pass.js';
import { layoutJson, type TaskPlan } from './plan.js';
import { createProgressMeter, type ProgressMeter } from './progress.js';
import { buildReport } from './report.js';
import { inputBytes } from './stages.js';
import { type RunStage, surveyPlan } from './survey.js';
import { together } from './together.js';

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
    const [{ sums, saver }] = await together(
      signal,
      (stop) => mergeTiles({ ...options, signal: stop }, job, artifacts, meter),
      (stop) => copyTasks({ ...options, signal: stop }, artifacts, meter),
    );
    signal.throwIfAborted();
    meter.phase('writing');
    await artifacts.write(bundlePaths.report, Buffer.from(`${JSON.stringify(buildReport(plan, sums))}\n`));
    const written = await artifacts.finish();
    await saver.remove();
    return written;
  } catch (error) {
    await artifacts.abort();
    throw error;
  }
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
