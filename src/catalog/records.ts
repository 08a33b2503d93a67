/** The facts in the store, as schemas: what is written is what is read. */
import { z } from 'zod';
import { DTYPE_BYTES, type Dtype } from '../dtype.js';

const dtype = z.enum(Object.keys(DTYPE_BYTES) as [Dtype, ...Dtype[]]);

/** Where a checkpoint's file lies: in the service's own store, or (registered in place) on the server's disk. */
const location = z.discriminatedUnion('in', [
  z.object({ in: z.literal('store'), key: z.string() }),
  z.object({ in: z.literal('root'), root: z.string(), key: z.string() }),
]);
export type FileLocation = z.output<typeof location>;

const checkpointFile = z.object({
  name: z.string(),
  bytes: z.number(),
  sha256: z.string(),
  /** The store's version of the object when it was recorded; a read of another version is an error. */
  version: z.string(),
  location,
});
export type CheckpointFile = z.output<typeof checkpointFile>;

const tensor = z.object({
  name: z.string(),
  dtype,
  shape: z.array(z.number()),
  file: z.string(),
  offset: z.number(),
  bytes: z.number(),
  /** Of tensors that are not float: whether they agree among checkpoints is decided without reading them again. */
  sha256: z.string().optional(),
});
export type RecordedTensor = z.output<typeof tensor>;

export const checkpointRecord = z.object({
  name: z.string(),
  created_at: z.string(),
  /** Of names, sizes and SHA-256 of all files: src/checkpoint/digest.ts. */
  digest: z.string(),
  source: z.string().optional(),
  files: z.array(checkpointFile),
  /** Files of a registered folder that are none of the checkpoint's: pickles and archives. */
  left_out: z.array(z.object({ name: z.string(), reason: z.enum(['pickle', 'archive']) })).optional(),
  tensors: z.array(tensor),
  /** The index file, when the checkpoint is sharded. */
  index: z.string().optional(),
});
export type LeftOut = NonNullable<z.output<typeof checkpointRecord>['left_out']>[number];
export type CheckpointRecord = z.output<typeof checkpointRecord>;

export const uploadRecord = z.object({ file: z.string(), bytes: z.number(), sha256: z.string() });
