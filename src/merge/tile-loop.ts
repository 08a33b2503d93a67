import { createSources } from '../catalog/sources.js';
import { DTYPE_BYTES } from '../dtype.js';
import { toEmrError } from '../errors.js';
import type { MergeWorkspace } from '../kernels/types.js';
import { openStore } from '../store/open.js';
import { createReaders } from './readers.js';
import { createSurveyor } from './survey-tile.js';
import { type Computed, createCompute } from './tile-compute.js';
import {
  type ResultViews,
  resultViews,
  type TileInput,
  type TileItem,
  type TileMessage,
  type TileReply,
  type TileTensor,
  type TileThreadData,
  tileGroups,
  tileItems,
} from './tile-job.js';
import { createWorkspaceShelf, type WorkspaceShelf } from './workspace-shelf.js';

export interface TilePort {
  postMessage(message: TileMessage): void;
  on(event: 'message', listener: (reply: TileReply) => void): unknown;
}

/**
 * What a thread does with one job after the other: takes items until there are none, reads their inputs, computes them,
 * hands the results over.
 */
export function createTileLoop() {
  const shelf = createWorkspaceShelf();
  return (data: TileThreadData, port: TilePort) => runTileLoop(data, port, shelf);
}

async function runTileLoop({ job, results }: TileThreadData, port: TilePort, shelf: WorkspaceShelf): Promise<void> {
  const store = await openStore(job.store);
  const sources = createSources(store);
  const readers = job.files.map((files) => createReaders(files, (file) => sources.open(file)));
  const workspaces = await shelf.take(job.engine, results.length, {
    tasks: job.tasks,
    elements: job.itemElements,
    wide: job.tensors.some((tensor) => tensor.inputs.some((input) => input.dtype === 'F64')),
    statistics: job.tensors.some((tensor) => tensor.inputs.length > 1 + job.tasks) ? job.tasks : 0,
  });
  const items = tileItems(job.tensors, job.itemElements);
  const groups = tileGroups(job.tensors, items);
  const cursor = new Int32Array(job.cursor);

  const released = new Map<number, () => void>();
  port.on('message', ({ release }) => released.get(release)?.());

  const read = async (slot: number, { file, offset }: TileInput, target: Uint8Array) => {
    await readers[slot]!.read(file, target, offset);
  };
  const fill = async (workspace: MergeWorkspace, { inputs, program }: TileTensor, { start, n }: TileItem) => {
    const waits: Promise<void>[] = [];
    for (const [slot, { file, offset, dtype }] of inputs.entries()) {
      if (program.kind === 'squares' && slot <= job.tasks) continue; // of the statistics alone
      const target = workspace.input(slot, n, dtype);
      const wait = readers[slot]!.read(file, target, offset + start * DTYPE_BYTES[dtype]);
      if (wait) waits.push(wait);
    }
    if (waits.length > 0) await Promise.all(waits);
  };

  const lane = async (buffer: SharedArrayBuffer, index: number) => {
    const views = resultViews(buffer, job);
    const workspace = workspaces[index]!;
    const surveyor = createSurveyor(job.tasks);
    const options = {
      workspace,
      surveyor,
      tasks: job.tasks,
      fill: (tensor: TileTensor, item: TileItem) => fill(workspace, tensor, item),
      read,
    };
    for (let taken = Atomics.add(cursor, 0, 1); taken < groups.length; taken = Atomics.add(cursor, 0, 1)) {
      const group = groups[taken]!;
      let number = group[0]!;
      try {
        const tensor = job.tensors[items[number]!.tensor]!;
        const compute = await createCompute(
          options,
          tensor,
          group.map((each) => items[each]!),
        );
        for (number of group) {
          const computed = await compute(items[number]!);
          const release = new Promise<void>((resolve) => released.set(index, resolve));
          handOver(computed, views);
          port.postMessage({ item: number, lane: index });
          await release;
        }
      } catch (error) {
        const { code, detail, facts } = toEmrError(error);
        port.postMessage({ item: number, failed: { code, detail, facts } });
        return;
      }
    }
    surveyor.flush();
  };
  await Promise.all(results.map(lane));
  await Promise.all(readers.map((reader) => reader.close()));
  await store.close();
  port.postMessage({ done: true });
}

function handOver({ output, mask, sums }: Computed, views: ResultViews): void {
  if (output) views.output.set(output);
  for (const [t, target] of views.masks.entries()) target.set(mask!(t));
  views.sums.set(sums);
}
