import { datasetTensors } from './dataset.js';
import type { Inputs } from './inputs.js';
import type { Dataset, ModelFiles } from './task.js';

/** A checkpoint's topology and all its weights, in memory. */
export async function loadModel(
  namespace: string,
  name: string,
  inputs: Inputs,
  signal: AbortSignal,
): Promise<ModelFiles> {
  const record = await inputs.record(namespace, name);
  const { json } = await inputs.topology(record);
  return { name, topology: json, tensors: await inputs.tensors(record, record.tensors, signal) };
}

/** A data set in memory; its `y` only where labels are needed. */
export async function loadDataset(
  namespace: string,
  name: string,
  labelled: boolean,
  inputs: Inputs,
  signal: AbortSignal,
): Promise<Dataset> {
  const record = await inputs.record(namespace, name);
  const wanted = datasetTensors(record, labelled);
  const tensors = await inputs.tensors(record, [wanted.x, ...(wanted.y ? [wanted.y] : [])], signal);
  const find = (tensor: string) => tensors.find((one) => one.name === tensor);
  return { name, x: find('x')!, ...(wanted.y ? { y: find('y')! } : {}) };
}
