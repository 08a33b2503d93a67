/** The pass that writes: unified vector or model, masks, and the sums behind every figure. */
import { sumsLength } from '../kernels/types.js';
import type { ArtifactSet, ArtifactWriter } from './artifact-writer.js';
import { bundlePaths } from './bundle.js';
import { copyRanges, fileOf } from './copy.js';
import { nextTile, type RunOptions, withPool } from './pass.js';
import type { ProgressMeter } from './progress.js';
import { SavepointLost, sumsOf, takeOver } from './savepoints.js';
import { createSaver, type Saver } from './saver.js';
import { isWhole } from './thread-program.js';
import type { TileItem, TileJob } from './tile-job.js';
import type { TilePool } from './tile-pool.js';

/** Streams every merged tensor through the threads; returns the sums of each, in the order of `plan.merged`. */
export async function mergeTiles(
  options: RunOptions,
  job: TileJob,
  artifacts: ArtifactSet,
  meter: ProgressMeter,
): Promise<{ sums: Float64Array[]; saver: Saver }> {
  const { plan, sources, signal, savepoint } = options;
  const length = sumsLength(plan.tasks.length);
  if (savepoint && savepoint.item_elements !== job.itemElements) throw new SavepointLost('other items');
  const sums = savepoint
    ? sumsOf(savepoint, plan.merged.length, length)
    : plan.merged.map(() => new Float64Array(length));
  const first = savepoint?.item ?? 0;
  // The pool first, since threads take a while to start.
  const pass = async (pool: TilePool, items: readonly TileItem[]) => {
    const writers = await openOutputs(options, artifacts);
    const [output, ...masks] = writers as [ArtifactWriter, ...ArtifactWriter[]];
    const saver = createSaver(options, writers);
    const mergedIndex = new Map(plan.merged.map((tensor, index) => [tensor.name, index]));
    const ofBase = new Map(plan.base.tensors.map((tensor) => [tensor.name, tensor]));
    meter.add(bytesBefore(job, items, first));
    let next = first;
    try {
      for (const [place, { name }] of plan.output.tensors.entries()) {
        if (place < (savepoint?.tensor ?? 0)) continue;
        const index = mergedIndex.get(name);
        if (index === undefined) {
          const tensor = ofBase.get(name)!;
          await copyRanges(sources, fileOf(plan.base, tensor.file), [tensor], output, signal);
          continue;
        }
        while (items[next]?.tensor === index) {
          const tile = await nextTile(pool, job, items[next]!, options, meter);
          await Promise.all([output.write(tile.output), ...masks.map((mask, t) => mask.write(tile.masks[t]!))]);
          addRows(sums[index]!, tile.sums);
          next += 1;
          const position = { item_elements: job.itemElements, tensor: place, item: next, sums };
          if (beginsGroup(job, items[next])) await saver.offer(position);
        }
      }
    } finally {
      await saver.settled();
    }
    return { writers, saver };
  };
  // The pool first, since threads take a while to start.
  const { writers, saver } = await withPool(options, job, pass, first);
  for (const writer of writers) await artifacts.close(writer);
  return { sums, saver };
}

/** Whether a thread may begin with this item; there is none after the last. */
function beginsGroup({ tensors }: TileJob, item: TileItem | undefined): boolean {
  return item === undefined || item.start === 0 || !isWhole(tensors[item.tensor]!.program);
}

/** What the items before `first` read. */
function bytesBefore({ tensors }: TileJob, items: readonly TileItem[], first: number): number {
  return items
    .slice(0, first)
    .reduce((sum, { tensor, n }) => sum + (tensors[tensor]!.bytes / tensors[tensor]!.n) * n, 0);
}

/** The unified vector or the one model, and where there are masks one for each task; with what is written of them. */
async function openOutputs(
  { plan, store, savepoint, signal }: RunOptions,
  artifacts: ArtifactSet,
): Promise<ArtifactWriter[]> {
  const { mask } = plan;
  const outputs = [
    { path: mask ? bundlePaths.unified : bundlePaths.model, ...plan.output },
    ...(mask ? plan.tasks.map(({ name }) => ({ path: bundlePaths.mask(name), ...mask })) : []),
  ];
  const opening = outputs.map(({ path, bytes }) => artifacts.open(path, bytes));
  // Nobody may still be writing when the attempt removes its files.
  await Promise.allSettled(opening);
  const writers = await Promise.all(opening);
  for (const [n, writer] of writers.entries()) {
    const { header } = outputs[n]!;
    // One after the other: what is read at a time is in memory.
    if (savepoint) await takeOver(store, savepoint, writer, header, signal);
    else await writer.write(header);
  }
  return writers;
}

/** Adds the rows of a result, one for each tile, in index order: the order of f64 additions is fixed by the tiles. */
function addRows(total: Float64Array, rows: Float64Array): void {
  for (let i = 0; i < rows.length; i++) total[i % total.length]! += rows[i]!;
}
