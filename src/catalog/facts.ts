import type { z } from 'zod';
import { EmrError } from '../errors.js';
import type { Store } from '../store/types.js';

/** A fact names every tensor of a checkpoint: 64 MiB hold some 300,000 of them. */
export const MAX_FACT_BYTES = 64 * 2 ** 20;

/** Reads a JSON fact and checks it; `undefined` if it does not exist, `artifact_corrupt` if it is not what we write. */
export async function readFact<S extends z.ZodType>(
  store: Store,
  key: string,
  schema: S,
): Promise<z.output<S> | undefined> {
  const bytes = await store.readSmall(key, MAX_FACT_BYTES);
  if (bytes === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new EmrError('artifact_corrupt', `The record ${key} cannot be read.`, { key }, { cause });
  }
}

/** Writes a JSON fact once; false if it exists already. `too_large` if it could not be read again. */
export async function writeFact(store: Store, key: string, fact: unknown): Promise<boolean> {
  const bytes = Buffer.from(`${JSON.stringify(fact)}\n`);
  if (bytes.byteLength <= MAX_FACT_BYTES) return store.create(key, bytes);
  const detail = `What is to be recorded takes ${bytes.byteLength} bytes, more than ${MAX_FACT_BYTES}: so many tensors, or so long names.`;
  throw new EmrError('too_large', detail, { bytes: bytes.byteLength, limit: MAX_FACT_BYTES });
}
