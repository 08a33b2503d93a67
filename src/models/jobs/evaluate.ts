import { datasetTensors } from '../dataset.js';
import type { Inputs } from '../inputs.js';
import { loadDataset, loadModel } from '../load.js';
import type { EvaluateRequest } from '../request.js';
import type { ModelFiles } from '../task.js';
import type { JobType } from './types.js';

/** Accuracy and loss of a checkpoint, or of a task's model of a merge, on a labelled data set. */
export const evaluateJob: JobType<EvaluateRequest> = {
  checkpoints: ({ model, dataset }) => ['checkpoint' in model ? model.checkpoint : [], dataset].flat(),

  async check(namespace, request, inputs) {
    const { model } = request;
    const dataset = await inputs.record(namespace, request.dataset);
    if ('checkpoint' in model) {
      const { inputShape } = await inputs.topology(await inputs.record(namespace, model.checkpoint));
      datasetTensors(dataset, true, inputShape);
      return request;
    }
    const { id, topology } = await inputs.mergedTopology(namespace, model);
    datasetTensors(dataset, true, topology.inputShape);
    return { ...request, model: { ...model, merge: id } };
  },

  async load(namespace, { model, dataset, batch_size }, inputs, signal) {
    return {
      type: 'evaluate',
      model:
        'checkpoint' in model
          ? await loadModel(namespace, model.checkpoint, inputs, signal)
          : await loadMerged(namespace, model, inputs, signal),
      dataset: await loadDataset(namespace, dataset, true, inputs, signal),
      batchSize: batch_size,
    };
  },
};

type Merged = Extract<EvaluateRequest['model'], { merge: string }>;

async function loadMerged(namespace: string, model: Merged, inputs: Inputs, signal: AbortSignal): Promise<ModelFiles> {
  const { topology } = await inputs.mergedTopology(namespace, model);
  const tensors = await inputs.mergedTensors(namespace, model, signal);
  return { name: `task ${model.task} of merge ${model.merge}`, topology: topology.json, tensors };
}
