import { elementCount } from '../../dtype.js';
import { EmrError } from '../../errors.js';
import { type MergePlan, planMerge } from '../../merge/plan.js';
import { mergeRequest } from '../../merge/request.js';
import { datasetTensors } from '../dataset.js';
import type { Inputs } from '../inputs.js';
import { MAX_TOTAL_BYTES } from '../limits.js';
import { loadDataset, loadModel } from '../load.js';
import type { AdaMergingRequest } from '../request.js';
import type { JobType } from './types.js';

/** Coefficients of task vectors that make the merged model sure of its outputs on inputs without labels. */
export const adaMergingJob: JobType<AdaMergingRequest> = {
  checkpoints: ({ base, tasks }) => [base, ...tasks.flatMap(({ checkpoint, dataset }) => [checkpoint, dataset])],

  async check(namespace, request, inputs) {
    const { merged, base } = await planOf(namespace, request, inputs);
    if (merged.length === 0) {
      throw new EmrError('merge_conflict', `No tensor of ${base.name} and the tasks can be merged.`, {
        base: base.name,
      });
    }
    let bytes = 0;
    for (const { checkpoint, dataset } of request.tasks) {
      const record = await inputs.record(namespace, checkpoint);
      const { inputShape } = await inputs.topology(record);
      const { x } = datasetTensors(await inputs.record(namespace, dataset), false, inputShape);
      // Its weights and its task vector.
      const elements = record.tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
      bytes += x.bytes + 2 * elements * Float32Array.BYTES_PER_ELEMENT;
    }
    if (bytes > MAX_TOTAL_BYTES) {
      throw new EmrError(
        'model_too_large',
        `Models and data sets take ${bytes} bytes; the limit is ${MAX_TOTAL_BYTES}.`,
        {
          bytes,
          limit: MAX_TOTAL_BYTES,
        },
      );
    }
    return request;
  },

  async load(namespace, request, inputs, signal) {
    const { granularity, trimmed, steps, learning_rate, initial, batch_size, seed } = request;
    const { base, merged } = await planOf(namespace, request, inputs);
    const tasks = [];
    for (const { name, checkpoint, dataset } of request.tasks) {
      const model = await loadModel(namespace, checkpoint, inputs, signal);
      tasks.push({ name, model, dataset: await loadDataset(namespace, dataset, false, inputs, signal) });
    }
    return {
      type: 'adamerging',
      base: {
        name: base.name,
        tensors: await inputs.tensors(
          base,
          merged.map((tensor) => tensor.base),
          signal,
        ),
      },
      tasks,
      options: { granularity, trimmed, steps, learning_rate, initial, batch_size, seed },
    };
  },
};

/** Which tensors are merged is decided where every merge decides it. */
async function planOf(namespace: string, request: AdaMergingRequest, inputs: Inputs): Promise<MergePlan> {
  const { base, include, exclude } = request;
  const tasks = request.tasks.map(({ name, checkpoint }) => ({ name, checkpoint }));
  const asked = mergeRequest.parse({ base, tasks, include, exclude, method: { type: 'task_arithmetic' } });
  return planMerge({
    request: asked,
    base: await inputs.record(namespace, base),
    tasks: await Promise.all(
      tasks.map(async ({ name, checkpoint }) => ({ name, record: await inputs.record(namespace, checkpoint) })),
    ),
  });
}
