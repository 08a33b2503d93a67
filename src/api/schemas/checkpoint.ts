import { z } from 'zod';
import type { CheckpointRecord } from '../../catalog/records.js';
import { elementCount } from '../../dtype.js';
import { NAME_PATTERN } from '../../names.js';
import { name } from './common.js';

export const checkpointView = z
  .object({
    name,
    created_at: z.iso.datetime(),
    digest: z.string().describe('SHA-256 over names, sizes and hashes of all files.'),
    source: z
      .string()
      .optional()
      .describe('Where it was registered from, when it is read in place; `job:<id>` if a job made it.'),
    files: z.array(z.object({ name: z.string(), bytes: z.int(), sha256: z.string() })),
    left_out: z
      .array(z.object({ name: z.string(), reason: z.enum(['pickle', 'archive']) }))
      .optional()
      .describe('Files of a registered folder that are no part of the checkpoint, by their content.'),
    tensors: z.int().describe('How many tensors.'),
    parameters: z.int().describe('How many elements in all tensors.'),
    bytes: z.int().describe('Of all files.'),
  })
  .meta({ id: 'Checkpoint' });

/** What the API shows of a record: never where its files lie. */
export function viewCheckpoint(record: CheckpointRecord): z.output<typeof checkpointView> {
  return {
    name: record.name,
    created_at: record.created_at,
    digest: record.digest,
    ...(record.source ? { source: record.source } : {}),
    files: record.files.map(({ name: file, bytes, sha256 }) => ({ name: file, bytes, sha256 })),
    ...(record.left_out ? { left_out: record.left_out } : {}),
    tensors: record.tensors.length,
    parameters: record.tensors.reduce((sum, tensor) => sum + elementCount(tensor.shape), 0),
    bytes: record.files.reduce((sum, file) => sum + file.bytes, 0),
  };
}

/** For readers of openapi.yaml, and narrower than what is taken: other sources and other folders have codes of their own. */
const FOLDER = '[A-Za-z0-9_@+-][A-Za-z0-9._@+ ()=,-]{0,199}';
const SOURCES = [{ pattern: '^file:///' }, { pattern: `^store:${FOLDER}(?:/${FOLDER}){0,3}/?$` }];

export const registerBody = z.strictObject({
  name,
  source: z.strictObject({
    uri: z
      .string()
      .min(1)
      .max(4096)
      .meta({ anyOf: SOURCES })
      .describe('`store:<folder>` or `file:///<folder>` below a configured root; its files are read in place.'),
  }),
});

export const uploadedFile = z.object({ file: z.string(), bytes: z.int(), sha256: z.string() });

/** For the docs: the form is read part by part as it arrives, and its files never become a value. */
export const uploadForm = z.any().meta({
  type: 'object',
  required: ['name', 'files'],
  properties: {
    name: { type: 'string', pattern: NAME_PATTERN.source, description: 'The first part.' },
    files: {
      type: 'array',
      minItems: 1,
      items: { type: 'string', format: 'binary' },
      description: 'Each under its own file name.',
    },
  },
});

export const rawFile = z.any().meta({ type: 'string', format: 'binary' });
