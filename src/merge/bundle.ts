/** What lies under one attempt of a merge: paths, and the record of a task's folder. Formats: docs/formats.md. */
import { z } from 'zod';
import { DTYPE_BYTES, type Dtype } from '../dtype.js';
import { MAX_FILE_NAME, MAX_NAME } from '../names.js';

export const bundlePaths = {
  unified: 'unified.safetensors',
  model: 'model.safetensors',
  report: 'report.json',
  mask: (task: string) => `tasks/${task}/mask.safetensors`,
  extras: (task: string) => `tasks/${task}/extras.safetensors`,
  layout: (task: string) => `tasks/${task}/layout.json`,
  file: (task: string, file: string) => `tasks/${task}/files/${file}`,
};

/** Characters of the longest of them. */
export const MAX_BUNDLE_PATH = bundlePaths.file('t'.repeat(MAX_NAME), 'f'.repeat(MAX_FILE_NAME)).length;

/**
 * Where a tensor of a task's model comes from: `merged` (base, u and mask; or the one model), `base` (the base's own
 * bytes) or `extras` (the task's extras.safetensors).
 */
export const TENSOR_SOURCES = ['merged', 'base', 'extras'] as const;

/** tasks/<task>/layout.json: the folder that the task's checkpoint was, so that it can be had again without it. */
export const taskLayout = z.object({
  /** The safetensors files, in order, each with the names of its tensors. */
  weights: z.array(z.object({ file: z.string(), tensors: z.array(z.string()) })),
  index: z.string().optional(),
  /** All other files, kept verbatim under files/. */
  files: z.array(z.string()),
  tensors: z.array(
    z.object({
      name: z.string(),
      dtype: z.enum(Object.keys(DTYPE_BYTES) as [Dtype, ...Dtype[]]),
      shape: z.array(z.number()),
      source: z.enum(TENSOR_SOURCES),
    }),
  ),
});
export type TaskLayout = z.output<typeof taskLayout>;
