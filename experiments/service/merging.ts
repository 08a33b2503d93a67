import { startBackend } from '../../examples/digits/backend.js';
import type { Tensors } from '../../examples/digits/tensor-files.js';
import { baseName, type Context, checkpointName, readBase, readFineTune, type Setting } from '../context.js';
import type { SuiteTask } from '../suites/types.js';
import { rawWeights } from '../tensor-bytes.js';
import { architectures } from '../training/architectures.js';
import type { MergeRequest, MethodRequest } from './types.js';

/** Uploads weights as a checkpoint that can be run. */
export function uploadWeights(context: Context, setting: Setting, name: string, read: () => Promise<Tensors>) {
  const architecture = architectures[setting.architecture];
  return context.session.upload(name, async () => {
    const weights = await read();
    // Topologies are built by TensorFlow.js.
    await startBackend();
    const classes = weights.get('head.bias')!.shape[0]!;
    const topology = architecture.topology?.(weights);
    const files = {
      'config.json': architecture.describe(classes, name),
      ...(topology ? { 'model.json': topology } : {}),
    };
    return { tensors: rawWeights(weights), files };
  });
}

/** Uploads the base and the fine-tunes of these tasks, as far as they are not there yet. */
export async function uploadAll(context: Context, setting: Setting, tasks: readonly SuiteTask[]): Promise<void> {
  await uploadWeights(context, setting, baseName(setting), () => readBase(context, setting));
  for (const task of tasks) {
    await uploadWeights(context, setting, checkpointName(setting, task), () => readFineTune(context, setting, task));
  }
}

/** Merges the fine-tunes of these tasks; gives the merge's id. */
export async function mergeTasks(
  context: Context,
  setting: Setting,
  tasks: readonly SuiteTask[],
  method: MethodRequest,
  dtype?: string,
): Promise<string> {
  await uploadAll(context, setting, tasks);
  const request: MergeRequest = {
    base: baseName(setting),
    tasks: tasks.map((task) => ({ name: task.name, checkpoint: checkpointName(setting, task) })),
    method,
    ...(dtype === undefined ? {} : { dtype }),
  };
  return context.session.merge(request);
}
