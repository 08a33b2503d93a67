/** One pass over the weights by the threads of a merge: what a survey and the merge itself have in common. */
import { availableParallelism } from 'node:os';
import type { Sources } from '../catalog/sources.js';
import { DTYPE_BYTES } from '../dtype.js';
import { EmrError } from '../errors.js';
import type { Progress } from '../queue/types.js';
import type { Store } from '../store/types.js';
import type { MergePlan } from './plan.js';
import type { ProgressMeter } from './progress.js';
import { type Savepoint, SavepointLost } from './savepoints.js';
import { type ResultViews, type TileItem, type TileJob, tileGroups, tileItems } from './tile-job.js';
import { startTilePool, type TilePool } from './tile-pool.js';
import type { TileThreads } from './tile-threads.js';

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
  /** Where an attempt that was interrupted had come to: this one goes on from there. */
  readonly savepoint?: Savepoint | undefined;
  /** How often this one notes how far it is, for another to go on from there. */
  readonly saveEveryMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

export const threadsOf = ({ threads }: RunOptions) => threads ?? availableParallelism();

/**
 * Gives the threads a job for as long as `use` takes; what `use` does not take to its end is stopped. Items before `first`
 * are done.
 */
export async function withPool<T>(
  options: RunOptions,
  job: TileJob,
  use: (pool: TilePool, items: readonly TileItem[]) => Promise<T>,
  first = 0,
): Promise<T> {
  const items = tileItems(job.tensors, job.itemElements);
  startAt(job, items, first);
  const count = Math.min(threadsOf(options), items.length - first);
  const pool = startTilePool(options.tileThreads, job, count, first);
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

/** Lets the threads begin with the item of this number, which is the first of what a thread takes at a time. */
function startAt(job: TileJob, items: readonly TileItem[], first: number): void {
  if (first === 0) return;
  const groups = tileGroups(job.tensors, items);
  const group = first === items.length ? groups.length : groups.findIndex(([number]) => number === first);
  if (group === -1) throw new SavepointLost('no thread begins with that item');
  Atomics.store(new Int32Array(job.cursor), 0, group);
}

/** The results of the next item, whose bytes are then done; a fault with the names that a user knows. */
export async function nextTile(
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
