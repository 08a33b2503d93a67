import type { CheckpointRecord, RecordedTensor } from '../../src/catalog/records.js';
import { layoutSafetensors } from '../../src/checkpoint/safetensors-layout.js';
import { type Dtype, isFloat } from '../../src/dtype.js';
import { type MergePlan, planMerge } from '../../src/merge/plan.js';
import { requestOf } from './services.js';

/** dtype, shape and, for tensors that are not float, something that stands for their bytes. */
export type TensorShape = readonly [Dtype, readonly number[], string?];

/** The record of a checkpoint with these tensors in one file; nothing lies anywhere. */
export function recordOf(name: string, tensors: Readonly<Record<string, TensorShape>>): CheckpointRecord {
  const specs = Object.entries(tensors).map(([tensor, [dtype, shape]]) => ({ name: tensor, dtype, shape }));
  const layout = layoutSafetensors(specs);
  const file = 'model.safetensors';
  return {
    name,
    created_at: '2026-01-01T00:00:00.000Z',
    digest: `digest-${name}`,
    files: [
      { name: 'config.json', bytes: 12, sha256: 'c', version: '1', location: { in: 'store', key: `${name}/config` } },
      { name: file, bytes: layout.bytes, sha256: name, version: '1', location: { in: 'store', key: `${name}/model` } },
    ],
    tensors: layout.tensors.map((tensor): RecordedTensor => {
      const content = tensors[tensor.name]![2] ?? 'same';
      return { ...tensor, shape: [...tensor.shape], file, ...(isFloat(tensor.dtype) ? {} : { sha256: content }) };
    }),
  };
}

/** The plan for a base and tasks `task-1`, `task-2`, … with these tensors. */
export function planOf(
  base: Readonly<Record<string, TensorShape>>,
  tasks: readonly Readonly<Record<string, TensorShape>>[],
  request: object = {},
): MergePlan {
  const names = tasks.map((_, t) => `task-${t + 1}`);
  return planMerge({
    request: requestOf({ base: 'base', tasks: names.map((name) => ({ name, checkpoint: name })), ...request }),
    base: recordOf('base', base),
    tasks: names.map((name, t) => ({ name, record: recordOf(name, tasks[t]!) })),
  });
}

/** The class of each tensor of a plan, with why it is not merged. */
export function classesOf({ tensors }: MergePlan): Record<string, string> {
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, [tensor.class, tensor.reason].join(' ').trim()]));
}

/** Where each tensor of a task's model comes from. */
export function sourcesOf({ tasks }: MergePlan, task = 0): Record<string, string> {
  return Object.fromEntries(tasks[task]!.layout.tensors.map(({ name, source }) => [name, source]));
}
