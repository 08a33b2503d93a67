import { createSources } from '../catalog/sources.js';
import { DTYPE_BYTES } from '../dtype.js';
import { EmrError, toEmrError } from '../errors.js';
import type { MergeWorkspace, TileFault } from '../kernels/types.js';
import { openStore } from '../store/open.js';
import { createReaders } from './readers.js';
import {
  resultViews,
  type TileItem,
  type TileMessage,
  type TileReply,
  type TileTensor,
  type TileThreadData,
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
    tasks: job.files.length - 1,
    elements: job.itemElements,
    wide: job.tensors.some((tensor) => tensor.inputs.some((input) => input.dtype === 'F64')),
  });
  const items = tileItems(job.tensors, job.itemElements);
  const cursor = new Int32Array(job.cursor);

  const released = new Map<number, () => void>();
  port.on('message', ({ release }) => released.get(release)?.());

  const fill = async (workspace: MergeWorkspace, tensor: TileTensor, { start, n }: TileItem) => {
    const waits: Promise<void>[] = [];
    for (const [slot, { file, offset, dtype }] of tensor.inputs.entries()) {
      const target = workspace.input(slot, n, dtype);
      const wait = readers[slot]!.read(file, target, offset + start * DTYPE_BYTES[dtype]);
      if (wait) waits.push(wait);
    }
    if (waits.length > 0) await Promise.all(waits);
  };

  const lane = async (buffer: SharedArrayBuffer, index: number) => {
    const views = resultViews(buffer, job);
    const workspace = workspaces[index]!;
    for (let taken = Atomics.add(cursor, 0, 1); taken < items.length; taken = Atomics.add(cursor, 0, 1)) {
      const item = items[taken]!;
      const tensor = job.tensors[item.tensor]!;
      try {
        await fill(workspace, tensor, item);
        const fault = compute(workspace, tensor, item.n);
        if (fault) throw faultError(fault, tensor.name, item.start);
      } catch (error) {
        const { code, detail, facts } = toEmrError(error);
        port.postMessage({ item: taken, failed: { code, detail, facts } });
        return;
      }
      const release = new Promise<void>((resolve) => released.set(index, resolve));
      views.output.set(workspace.output(item.n, tensor.output));
      for (const [t, mask] of views.masks.entries()) mask.set(workspace.mask(t, item.n));
      views.sums.set(workspace.sums(item.n));
      port.postMessage({ item: taken, lane: index });
      await release;
    }
  };
  await Promise.all(results.map(lane));
  await Promise.all(readers.map((reader) => reader.close()));
  await store.close();
  port.postMessage({ done: true });
}

function compute(workspace: MergeWorkspace, tensor: TileTensor, n: number): TileFault | undefined {
  const [base, ...tasks] = tensor.inputs.map((input) => input.dtype);
  const tile = { n, base: base!, tasks };
  const { program, output } = tensor;
  switch (program.kind) {
    case 'emr':
      if (output === 'F64') throw new EmrError('internal', 'A unified vector is never F64.');
      return workspace.emr({ ...tile, zeroSign: program.zeroSign, output });
    case 'linear': {
      const coefficients = Float32Array.from(program.coefficients);
      return workspace.linear({ ...tile, of: program.of, coefficients, divisor: program.divisor, output });
    }
  }
}

/** `input` is 0 for the base, t for task t; names of checkpoints are added where they are known. */
function faultError(fault: TileFault, tensor: string, start: number): EmrError {
  const facts = { input: fault.input, tensor, index: start + fault.index };
  return fault.kind === 'non_finite'
    ? new EmrError('non_finite_weight', 'A weight is NaN or infinite.', facts)
    : new EmrError('task_vector_overflow', 'A fine-tuned weight minus its base is beyond f32.', facts);
}
