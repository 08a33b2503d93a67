import { createHash } from 'node:crypto';
import { z } from 'zod';
import { OUTPUT_DTYPES } from '../dtype.js';
import { EmrError } from '../errors.js';
import { ENGINE_NAMES } from '../kernels/types.js';
import { NAME_PATTERN, NO_MERGE_ID_PATTERN } from '../names.js';
import { globPattern } from './globs.js';
import { MAX_TASKS } from './max-tasks.js';
import { methodParams } from './registry.js';

/** `too_large` beyond what the operator has set. */
export function requireTasks(count: number, limit: number): void {
  if (count <= limit) return;
  const facts = { tasks: count, limit, setting: 'EMR_MAX_TASKS' };
  throw new EmrError('too_large', `There are ${count} tasks; the limit is ${limit} (EMR_MAX_TASKS).`, facts);
}

/** Of `include` and of `exclude`: families of tensors, of which a model has a few dozen. */
export const MAX_PATTERNS = 256;

export const name = z.string().regex(NAME_PATTERN);
export const globs = z.array(globPattern).max(MAX_PATTERNS);

/** More than `uniqueItems` says, which is all that JSON Schema has. */
export const distinctNames = [
  (tasks: readonly { readonly name: string }[]) => new Set(tasks.map(({ name }) => name)).size === tasks.length,
  'two tasks have the same name',
] as const;

export const mergeRequest = z.strictObject({
  name: name
    .regex(NO_MERGE_ID_PATTERN, 'a name may not look like the id of a merge')
    .optional()
    .describe('An alias of the merge; not part of its identity. That of a failed or cancelled merge is free.'),
  base: name.describe('The checkpoint that all tasks were fine-tuned from.'),
  tasks: z
    .array(z.strictObject({ name, checkpoint: name }))
    .min(1)
    .max(MAX_TASKS.ceiling)
    .refine(...distinctNames)
    .meta({ uniqueItems: true })
    .describe('In the order in which their task vectors are summed; each has a name of its own.'),
  method: methodParams.default({ type: 'emr', zero_sign: 'zero', rescaler: 'global', scope: 'model' }),
  include: globs.optional().describe('Only tensors that match one of these are merged.'),
  exclude: globs.optional().describe('Tensors that match one of these are kept for each task as they are.'),
  strict: z
    .boolean()
    .default(false)
    .describe('Refuse the merge if any tensor would be kept per task without `exclude`.'),
  dtype: z
    .enum(OUTPUT_DTYPES)
    .optional()
    .describe('Of the unified vector (default F32), or of the one model (default: as in the base).'),
  engine: z.enum(ENGINE_NAMES).default('simd'),
});
export type MergeRequest = z.output<typeof mergeRequest>;

export interface InputDigests {
  readonly base: string;
  readonly tasks: readonly string[];
  /** In the order of the tasks, where the method reads any. */
  readonly statistics?: readonly string[] | undefined;
}

/**
 * The merge's id: a hash of its canonical request, its `name` apart, and of the digests of its inputs. The same request
 * on the same checkpoints is the same merge.
 */
export function mergeId(request: MergeRequest, digests: InputDigests): string {
  const { name: _alias, ...identity } = request;
  const text = canonicalJson({ request: identity, digests });
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** JSON with the keys of every object in order, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
