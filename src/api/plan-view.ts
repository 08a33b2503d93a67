import type { z } from 'zod';
import { memoryBytes } from '../merge/memory.js';
import { type MergePlan, plannedFiles } from '../merge/plan.js';
import { inputBytes } from '../merge/stages.js';
import type { Store } from '../store/types.js';
import type { planView } from './schemas/merge.js';

export function viewPlan(plan: MergePlan, store: Store, threads: number | undefined): z.output<typeof planView> {
  const files = plannedFiles(plan);
  return {
    tensors: plan.tensors.map(({ name, class: kind, dtype, shape, reason }) => ({
      name,
      class: kind,
      dtype,
      shape: [...shape],
      ...(reason ? { reason } : {}),
    })),
    conflicts: [...plan.conflicts],
    conflict_count: plan.conflictCount,
    warnings: [...plan.warnings],
    files,
    input_bytes: inputBytes(plan),
    output_bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    memory_bytes: memoryBytes(plan, store, threads),
    parameters: plan.merged.reduce((sum, tensor) => sum + tensor.n, 0),
  };
}
