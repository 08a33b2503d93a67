import { EmrError, type ErrorCode, toEmrError } from '../errors.js';
import { hashing } from '../store/hash.js';
import type { ObjectReader } from '../store/types.js';

/** A file as it was recorded, and a way to read it as it is. */
export interface RecordedBytes {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  open(): Promise<ObjectReader>;
}

/** What was found of a file; `found` where it could be read to its end. */
export interface Verdict {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly state: 'ok' | 'differs' | 'missing' | 'unreadable';
  readonly found?: { readonly bytes: number; readonly sha256: string };
  /** Why it could not be read. */
  readonly code?: ErrorCode;
}

/** Reads a file again and compares length and SHA-256 with its record; yields now and then, so that a caller can act. */
export async function* verifying(file: RecordedBytes, signal: AbortSignal): AsyncGenerator<undefined, Verdict> {
  const { path, bytes, sha256 } = file;
  const recorded = { path, bytes, sha256 };
  let reader: ObjectReader | undefined;
  try {
    reader = await file.open();
    const work = hashing(reader, signal);
    let step = await work.next();
    for (; !step.done; step = await work.next()) yield;
    const found = { bytes: reader.bytes, sha256: step.value };
    const isSame = found.bytes === bytes && found.sha256 === sha256;
    return isSame ? { ...recorded, state: 'ok' } : { ...recorded, state: 'differs', found };
  } catch (error) {
    signal.throwIfAborted();
    return { ...recorded, ...failureOf(toEmrError(error)) };
  } finally {
    await reader?.close();
  }
}

/** A file that is gone is `source_changed` for whoever wants to use it: its cause says which. */
function failureOf({ code, cause }: EmrError): Pick<Verdict, 'state' | 'code'> {
  const isGone = code === 'not_found' || (cause instanceof EmrError && cause.code === 'not_found');
  if (isGone) return { state: 'missing' };
  return code === 'source_changed' ? { state: 'differs', code } : { state: 'unreadable', code };
}
