import { PIXELS } from '../../examples/digits/data.js';
import type { RawTensor } from '../../examples/digits/tensor-files.js';
import { baseName, type Context, checkpointName, type Setting } from '../context.js';
import { uploadAll } from '../service/merging.js';
import type { MethodRequest } from '../service/types.js';
import type { Examples } from '../suites/images.js';
import type { SuiteTask } from '../suites/types.js';
import type { JobNeed } from './catalogue.js';

/** Examples of each task that Gram matrices are computed of, and that AdaMerging sees. */
export const SAMPLES = 1000;
/** Each takes a backward pass for each class. */
export const FISHER_SAMPLES = 128;
/** The paper's. */
export const ADAMERGING = { steps: 500, learning_rate: 1e-3, batch_size: 16, seed: 1 };

/** What a job's result follows from, beside the checkpoints: part of the key of a method that needs it. */
export function jobSettings({ type }: JobNeed): object {
  if (type === 'adamerging') return { SAMPLES, ...ADAMERGING };
  return type === 'fisher' ? { FISHER_SAMPLES } : { SAMPLES };
}

function datasetTensors({ inputs, labels }: Examples): Map<string, RawTensor> {
  const n = Math.min(SAMPLES, labels.length);
  return new Map([
    ['x', { dtype: 'F32', shape: [n, PIXELS], bytes: new Uint8Array(inputs.slice(0, n * PIXELS).buffer) }],
    ['y', { dtype: 'U8', shape: [n], bytes: labels.slice(0, n) }],
  ] as const);
}

/** Uploads a task's training images (or those for validation, where it has some) as a data set; gives its name. */
async function uploadDataset(context: Context, setting: Setting, task: SuiteTask, split: 'training' | 'validation') {
  const used = split === 'validation' && !task.validation ? 'training' : split;
  const name = `${setting.suite}-${task.name}-${used}`;
  await context.session.upload(name, async () => ({
    tensors: datasetTensors((await context.images.examples(task, used))!),
  }));
  return name;
}

/** The method with what its job computes from data: statistics by task, or coefficients. */
export async function completeMethod(
  context: Context,
  setting: Setting,
  tasks: readonly SuiteTask[],
  method: MethodRequest,
  need: JobNeed,
): Promise<MethodRequest> {
  await uploadAll(context, setting, tasks);
  if (need.type === 'adamerging') return { ...method, coefficients: await adaMerge(context, setting, tasks, need) };
  const statistics: Record<string, string> = {};
  for (const task of tasks) {
    const checkpoint = checkpointName(setting, task);
    const dataset = await uploadDataset(context, setting, task, 'training');
    const output = `${checkpoint}-${need.type}`;
    const samples = need.type === 'fisher' ? { samples: FISHER_SAMPLES, seed: 1 } : {};
    await context.session.job({ type: need.type, checkpoint, dataset, output, ...samples });
    statistics[task.name] = output;
  }
  const inner = method.inner as MethodRequest | undefined;
  return inner ? { ...method, inner: { ...inner, statistics } } : { ...method, statistics };
}

/** Coefficients that make the merged model sure of itself on images without their labels, never test images. */
async function adaMerge(
  context: Context,
  setting: Setting,
  tasks: readonly SuiteTask[],
  { granularity, trimmed }: Extract<JobNeed, { type: 'adamerging' }>,
): Promise<unknown> {
  const given = [];
  for (const task of tasks) {
    const dataset = await uploadDataset(context, setting, task, 'validation');
    given.push({ name: task.name, checkpoint: checkpointName(setting, task), dataset });
  }
  const { coefficients } = await context.session.job<{ coefficients: unknown }>({
    type: 'adamerging',
    base: baseName(setting),
    tasks: given,
    granularity,
    ...(trimmed ? { trimmed: { density: 0.2 } } : {}),
    ...ADAMERGING,
  });
  return coefficients;
}
