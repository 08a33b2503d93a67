import { datasetTensors } from '../dataset.js';
import type { Inputs } from '../inputs.js';
import { loadDataset, loadModel } from '../load.js';
import type { FisherRequest, GramRequest } from '../request.js';
import type { JobType } from './types.js';

/** The diagonal of a checkpoint's Fisher information. */
export const fisherJob: JobType<FisherRequest> = {
  checkpoints: ({ checkpoint, dataset }) => [checkpoint, dataset],
  check: (namespace, request, inputs) => checkStatistics(namespace, request, needsLabels(request), inputs),
  load: async (namespace, request, inputs, signal) => ({
    type: 'fisher',
    model: await loadModel(namespace, request.checkpoint, inputs, signal),
    dataset: await loadDataset(namespace, request.dataset, needsLabels(request), inputs, signal),
    labels: request.labels,
    samples: request.samples,
    seed: request.seed,
  }),
};

/** The Gram matrices of the inputs of a checkpoint's linear layers. */
export const gramJob: JobType<GramRequest> = {
  checkpoints: ({ checkpoint, dataset }) => [checkpoint, dataset],
  check: (namespace, request, inputs) => checkStatistics(namespace, request, false, inputs),
  load: async (namespace, request, inputs, signal) => ({
    type: 'gram',
    model: await loadModel(namespace, request.checkpoint, inputs, signal),
    dataset: await loadDataset(namespace, request.dataset, false, inputs, signal),
    samples: request.samples,
    seed: request.seed,
    batchSize: request.batch_size,
  }),
};

const needsLabels = ({ labels }: FisherRequest) => labels === 'given';

async function checkStatistics<R extends FisherRequest | GramRequest>(
  namespace: string,
  request: R,
  labelled: boolean,
  inputs: Inputs,
): Promise<R> {
  const { inputShape } = await inputs.topology(await inputs.record(namespace, request.checkpoint));
  datasetTensors(await inputs.record(namespace, request.dataset), labelled, inputShape);
  return request;
}
