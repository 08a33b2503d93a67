import type { CheckpointRecord, RecordedTensor } from '../catalog/records.js';
import type { FloatDtype } from '../dtype.js';
import type { Store } from '../store/types.js';
import { lanesOf } from './memory.js';
import type { MergedTensor, MergePlan } from './plan.js';
import { type Stage, stageBytes } from './stages.js';
import type { ThreadProgram } from './thread-program.js';
import type { TileInput, TileJob } from './tile-job.js';

/** A tensor that takes part in a stage, and what is done with it there. */
export interface Part {
  readonly tensor: MergedTensor;
  readonly program: ThreadProgram;
}

/** One pass over the weights as threads need to know it. */
export function makeJob(
  plan: MergePlan,
  store: Pick<Store, 'config'>,
  itemElements: number,
  stage: Stage,
  parts: readonly Part[],
): TileJob {
  const statistics = plan.tasks.flatMap((task) => task.statistics ?? []);
  const records: CheckpointRecord[] = [plan.base, ...plan.tasks.map((task) => task.record), ...statistics];
  const fileNumber = records.map((record) => new Map(record.files.map((file, index) => [file.name, index])));
  const place = ({ file, offset, dtype }: RecordedTensor, record: number): TileInput => ({
    file: fileNumber[record]!.get(file)!,
    offset,
    dtype: dtype as FloatDtype, // merged tensors and their statistics are float
  });
  return {
    store: store.config,
    engine: plan.request.engine,
    tasks: plan.tasks.length,
    files: records.map((record) => record.files),
    tensors: parts.map(({ tensor, program }) => {
      const weights = [tensor.base, ...tensor.tasks];
      const known = (tensor.statistics ?? []).map((one, t) => place(one, weights.length + t));
      const goesAlong = program.kind === 'rule' || program.kind === 'squares';
      return {
        name: tensor.name,
        n: tensor.n,
        output: tensor.output,
        program,
        inputs: [...weights.map(place), ...(goesAlong ? known : [])],
        grams: program.kind === 'solve' ? known : undefined,
        bytes: stageBytes(stage, tensor),
      };
    }),
    itemElements,
    output: stage !== 'merge' ? 'figures' : plan.mask ? 'masks' : 'model',
    lanes: lanesOf(plan),
    cursor: new SharedArrayBuffer(4),
  };
}
